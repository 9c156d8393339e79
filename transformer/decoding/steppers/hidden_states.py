"""The last layer's hidden states of all tokens that rows have read.

Shape suffixes: R rows, T tokens, D d_model.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...buffers import Buffers


class HiddenStates:
    """Hidden states of rows: token n is in slot n, as in StaticCache."""

    def __init__(
        self, rows: int, slots: int, width: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._buffers = Buffers(
            torch.empty(1, rows, 1, slots + 1, width, device=device, dtype=dtype)
        )
        self._used = 0

    def write(self, slots_RT: Tensor, states_RTD: Tensor, longest: int) -> None:
        """Store new states, with which the longest row has `longest` tokens; slot -1 is padding."""
        self._used = longest
        self._buffers.fill(longest)
        self._buffers.write(0, self._buffers.places(slots_RT), states_RTD[:, :, None])

    def read(self) -> Tensor:
        """Return the stored states (R, T, D), where T is the length of the longest row."""
        return self._buffers.read(self._used)[0][:, 0]

    def reorder(self, rows: Sequence[int]) -> None:
        """Gather rows: row r becomes a copy of row `rows[r]`."""
        self._buffers.reorder(rows)

    def append_rows(self, other: "HiddenStates") -> None:
        """Append the rows of another."""
        self._buffers.append_rows(other._buffers)
        self._used = max(self._used, other._used)

    def truncate(self, length: int) -> None:
        """Drop the states from position `length` on."""
        self._used = length
