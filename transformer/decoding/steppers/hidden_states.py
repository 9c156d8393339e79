"""The last layer's states of all tokens that rows have read.

Shape suffixes: R rows, T tokens, D d_model.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...buffers import Buffers


class HiddenStates:
    """Token n of a row in slot n, as in StaticCache, whose verbs it has."""

    def __init__(
        self, rows: int, slots: int, width: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._buffers = Buffers([torch.zeros(rows, slots + 1, width, device=device, dtype=dtype)])
        self._used = 0

    def write(self, slots_RT: Tensor, states_RTD: Tensor, longest: int) -> None:
        """Keep new states, with which the longest row has `longest`; slot -1 is padding."""
        self._buffers.write(0, slots_RT, states_RTD)
        self._used = longest

    def read(self) -> Tensor:
        """What is kept, (R, T, D) with T the longest row's tokens."""
        return self._buffers.read(0, self._used)

    def reorder(self, rows: Sequence[int]) -> None:
        """Row r becomes what row `rows[r]` was."""
        self._buffers.reorder(rows, self._used)

    def append_rows(self, other: "HiddenStates") -> None:
        """Take in the rows of another, after those that are here."""
        self._buffers.append_rows(other._buffers, other._used)
        self._used = max(self._used, other._used)

    def truncate(self, length: int) -> None:
        """No row is longer than this now."""
        self._used = length
