"""The protocol of a search."""

from collections.abc import Collection, Sequence
from typing import Protocol

from ..request import Event, Request
from ..steppers import Stepper


class Search(Protocol):
    """Requests that are being decoded, each independently of all others."""

    width: int  # rows of the stepper for each request
    reads_hidden_states: bool  # True: the stepper must be a HiddenStateStepper

    @property
    def requests(self) -> list[Request]:
        """Unfinished requests, in the order of their rows."""
        ...

    def add(self, requests: Sequence[Request]) -> None:
        """Begin requests, whose rows the stepper has admitted."""
        ...

    def step(self, stepper: Stepper) -> list[Event]:
        """Generate one more token of each sequence; leave the stepper with the rows that go on."""
        ...

    def remove(self, requests: Collection[Request], stepper: Stepper) -> None:
        """Drop requests at once, with their rows; those that are finished have none."""
        ...
