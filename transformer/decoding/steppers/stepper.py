"""Step functions: the protocols through which a search sees a model.

Shape suffixes: R rows (sequences being generated), V vocabulary, T tokens, D d_model.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from ..request import Request


class Reorderable(Protocol):
    """State whose rows are those of a search."""

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        """Gather rows: row r becomes a copy of row `rows[r]`, so that rows are repeated or dropped.

        Each `rows_per_entry` consecutive rows are about the same source.
        """
        ...


class Stepper(Reorderable, Protocol):
    """A step function: next-token logits of rows, from a model, an ensemble or a table."""

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        """Append `rows_per_entry` rows for each request.

        They have read the request's source and its prompt, except the prompt's last token.
        """
        ...

    def step(self, ids_R: Tensor) -> Tensor:
        """Read one more token of each row; return the logits (R, V) of the next.

        The next step may overwrite them.
        """
        ...


@runtime_checkable
class HiddenStateStepper(Stepper, Protocol):
    """A stepper that returns its hidden states."""

    def hidden_states(self) -> tuple[Tensor, Tensor]:
        """Return the last layer's hidden states (R, T, D), and each row's number of tokens (R).

        The states are those of all tokens read, padded on the right.
        """
        ...


@runtime_checkable
class RewindingStepper(Stepper, Protocol):
    """A stepper that can read several tokens at once, and take them back."""

    def extend(self, ids_RT: Tensor, counts: Sequence[int]) -> Tensor:
        """Read the first `counts[r]` tokens of each row r, which may be none.

        Returns the logits (R, T, V) after each token.
        """
        ...

    def rewind(self, counts: Sequence[int]) -> None:
        """Take back the last `counts[r]` tokens of each row r."""
        ...
