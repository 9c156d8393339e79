"""What a search sees of a model: a step function.

Shape suffixes: R rows (texts being written), V vocabulary, T tokens, D d_model.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from ..request import Request


class Reorderable(Protocol):
    """Something whose rows are those of a search."""

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """Row r becomes what row `rows[r]` was; rows may be repeated, dropped or added. Every
        `copies` rows that follow one another are about the same text."""
        ...


class Stepper(Reorderable, Protocol):
    """Something that continues rows of tokens: a model, several, or a table of probabilities."""

    def admit(self, tasks: Sequence[Request], copies: int = 1) -> None:
        """Add rows after those that are there, `copies` for each task, which have read what the
        task's text begins with but for the last token of its prompt."""
        ...

    def step(self, ids_R: Tensor) -> Tensor:
        """Take one more token for each row; return what may come next as logits (R, V)."""
        ...


@runtime_checkable
class StateStepper(Stepper, Protocol):
    """A stepper that shows what it has made of the tokens."""

    def states(self) -> tuple[Tensor, Tensor]:
        """The last layer's states (R, T, D) of all tokens that rows have read, padded on the
        right, and how many each row has read (R)."""
        ...


@runtime_checkable
class RewindingStepper(Stepper, Protocol):
    """A stepper that takes several tokens at once, and takes them back."""

    def extend(self, ids_RT: Tensor, counts: Sequence[int]) -> Tensor:
        """Take the first `counts` tokens of each row, none in some; return what may come after
        each, as logits (R, T, V)."""
        ...

    def rewind(self, counts: Sequence[int]) -> None:
        """Take each row's last tokens back."""
        ...
