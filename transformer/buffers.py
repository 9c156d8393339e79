"""Growing tensors of rows that may be repeated, dropped, added and joined.

Shape suffixes: B rows, T written slots.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Buffers:
    """Tensors (rows, slots + 1, …) that grow together, with spare rows.

    The last slot takes what is not kept: position -1 writes there, and nothing reads it.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self.rows, self.slots = self.tensors[0].size(0), self.tensors[0].size(1) - 1

    def places(self, slots_BT: Tensor) -> Tensor:
        """Return where slots of rows lie in a tensor whose rows are joined, (B·T)."""
        starts_B1 = torch.arange(
            0, len(slots_BT) * (self.slots + 1), self.slots + 1, device=slots_BT.device
        )[:, None]
        return (starts_B1 + slots_BT % (self.slots + 1)).flatten()

    def write(self, index: int, places_N: Tensor, values_BT: Tensor) -> None:
        """Write values (B, T, …) into places of one tensor."""
        self.tensors[index].flatten(0, 1).index_copy_(0, places_N, values_BT.flatten(0, 1))

    def read(self, index: int, used: int) -> Tensor:
        """Return the first `used` slots of one tensor, (B, used, …)."""
        return self.tensors[index][: self.rows, :used]

    def reorder(self, rows: Sequence[int], used: int) -> None:
        """Gather rows: row r becomes row `rows[r]`; rows that do not move are not copied."""
        if len(rows) > len(self.tensors[0]):
            self._resize(len(rows), self.slots)
        moves = [(index, row) for index, row in enumerate(rows) if index != row]
        if moves:
            destination, source = torch.tensor(moves, device=self.tensors[0].device).unbind(dim=1)
            for tensor in self.tensors:
                used_slots = tensor[:, :used]
                used_slots.index_copy_(0, destination, used_slots.index_select(0, source))
        self.rows = len(rows)

    def append_rows(self, other: "Buffers", used: int) -> None:
        """Append another's rows to these; `used` of its slots have been written."""
        rows, slots = self.rows + other.rows, max(self.slots, other.slots)
        if rows > len(self.tensors[0]) or slots > self.slots:
            self._resize(rows, slots)
        for mine, theirs in zip(self.tensors, other.tensors, strict=True):
            mine[self.rows : rows, :used] = theirs[: other.rows, :used]
        self.rows = rows

    def _resize(self, rows: int, slots: int) -> None:
        """Reallocate for `slots` slots and `rows` rows, half as many more if these are too few."""
        old_rows, old_slots = len(self.tensors[0]), self.slots
        rows = rows + rows // 2 if rows > old_rows else old_rows
        for index, tensor in enumerate(self.tensors):
            larger = tensor.new_zeros((rows, slots + 1, *tensor.shape[2:]))
            larger[: self.rows, :old_slots] = tensor[: self.rows, :old_slots]
            self.tensors[index] = larger
        self.slots = slots
