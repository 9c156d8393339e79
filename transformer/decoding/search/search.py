"""The protocol of a search."""

from collections.abc import Sequence
from typing import Protocol

from ..request import Event, Request
from ..steppers import Stepper


class Search(Protocol):
    """Texts that are being written. Each is independent of all others."""

    width: int  # rows of the stepper for each task
    reads_states: bool  # whether the stepper must be a StateStepper

    @property
    def requests(self) -> list[Request]:
        """Those that are not finished, in the order of their rows."""
        ...

    def add(self, tasks: Sequence[Request]) -> None:
        """Begin texts, whose rows the stepper has admitted."""
        ...

    def step(self, stepper: Stepper) -> list[Event]:
        """Write one more token of each text, and leave the stepper with the rows that go on."""
        ...
