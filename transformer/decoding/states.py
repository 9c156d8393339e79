"""The last layer's states of all tokens that rows have read.

Shape suffixes: R rows, T tokens, S slots, D d_model.
"""

import torch
from torch import Tensor


class States:
    """Token n of a row in slot n, with room for more rows; see StaticCache, whose verbs it has.
    The last slot takes what is not kept."""

    def __init__(self, rows: int, slots: int, width: int, like: Tensor) -> None:
        self._rows, self._used = rows, 0
        self._values_RSD = like.new_zeros(rows, slots + 1, width)

    def write(self, slots_RT: Tensor, states_RTD: Tensor) -> None:
        """Keep new states; slot -1 is padding."""
        rows_R1 = torch.arange(self._rows, device=slots_RT.device)[:, None]
        self._values_RSD[rows_R1, slots_RT] = states_RTD
        self._used = int(slots_RT.max()) + 1

    def read(self) -> Tensor:
        """What is kept, (R, T, D) with T the longest row's tokens."""
        return self._values_RSD[: self._rows, : self._used]

    def reorder(self, rows_R: Tensor) -> None:
        """Row r becomes what row `rows_R[r]` was; those that stay where they are are not copied."""
        rows = len(rows_R)
        if rows > len(self._values_RSD):
            self._resize(rows, self._values_RSD.size(1) - 1)
        places_R = torch.arange(rows, device=rows_R.device)
        moved = rows_R != places_R
        kept = self._values_RSD[rows_R[moved], : self._used]
        self._values_RSD[places_R[moved], : self._used] = kept
        self._rows = rows

    def join(self, other: "States") -> None:
        """Take in the rows of another, after those that are here."""
        mine, theirs = self.read(), other.read()
        rows = self._rows + other._rows
        slots = max(self._values_RSD.size(1), other._values_RSD.size(1)) - 1
        if rows > len(self._values_RSD) or slots > self._values_RSD.size(1) - 1:
            self._resize(rows, slots)
        self._values_RSD[len(mine) : rows, : other._used] = theirs
        self._rows, self._used = rows, max(self._used, other._used)

    def trim(self, length: int) -> None:
        """No row is longer than this now."""
        self._used = length

    def _resize(self, rows: int, slots: int) -> None:
        kept = self.read()
        self._values_RSD = kept.new_zeros(max(rows, self._rows), slots + 1, kept.size(2))
        self._values_RSD[: self._rows, : self._used] = kept
