"""Growing tensors of rows that may be repeated, dropped, added and joined.

Shape suffixes: B rows, T written slots, N their places, one behind another.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

# Slots are read in blocks of so many: a CPU's kernels of attention sum over 16 keys at once, so
# that keys which are hidden change no bit of what others give, but for a part of a block.
_BLOCK = 16


def in_blocks(slots: int) -> int:
    """Return a number of slots, rounded up to whole blocks.

    >>> in_blocks(1), in_blocks(16), in_blocks(17)
    (16, 16, 32)
    """
    return -(-slots // _BLOCK) * _BLOCK


class Buffers:
    """A tensor (parts, rows, slots + 1, …) that grows, with spare rows.

    The last slot takes what is not kept: position -1 writes there, and nothing reads it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.parts, self.rows, self.slots = len(tensor), tensor.size(1), tensor.size(2) - 1
        self._allocate(tensor)

    def _allocate(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._joined = tensor.flatten(1, 2).unbind()  # each part's rows, one behind another

    def places(self, slots_BT: Tensor) -> Tensor:
        """Return where slots of rows lie in a part whose rows are joined, (B·T)."""
        size = self.slots + 1
        starts_B1 = torch.arange(0, len(slots_BT) * size, size, device=slots_BT.device)[:, None]
        return (starts_B1 + slots_BT % size).flatten()

    def write(self, part: int, places_N: Tensor, values_BT: Tensor) -> None:
        """Write values (B, T, …) into places of one part."""
        self._joined[part].index_copy_(0, places_N, values_BT.flatten(0, 1))

    def read(self, used: int) -> Sequence[Tensor]:
        """Return the first `used` slots of each part, (B, used, …)."""
        return self._tensor[:, : self.rows, :used].unbind()

    def reorder(self, rows: Sequence[int], used: int) -> None:
        """Gather rows: row r becomes row `rows[r]`; rows that do not move are not copied."""
        if len(rows) > self._tensor.size(1):
            self._resize(len(rows), self.slots)
        moves = {index: row for index, row in enumerate(rows) if index != row}
        used_slots = self._tensor[:, :, :used]
        if moves and used_slots.device.type == "cpu":
            _move_singly(used_slots, moves)
        elif moves:
            pairs = torch.tensor([*moves.items()], device=used_slots.device)
            destination, source = pairs.unbind(dim=1)
            for part in used_slots:  # one by one, for room
                part.index_copy_(0, destination, part.index_select(0, source))
        self.rows = len(rows)

    def append_rows(self, other: "Buffers", used: int) -> None:
        """Append another's rows to these; `used` of its slots have been written."""
        rows, slots = self.rows + other.rows, max(self.slots, other.slots)
        if rows > self._tensor.size(1) or slots > self.slots:
            self._resize(rows, slots)
        self._tensor[:, self.rows : rows, :used] = other._tensor[:, : other.rows, :used]
        self.rows = rows

    def _resize(self, rows: int, slots: int) -> None:
        """Reallocate for `slots` slots and `rows` rows, half as many more if these are too few."""
        old, old_slots = self._tensor, self.slots
        rows = rows + rows // 2 if rows > old.size(1) else old.size(1)
        larger = old.new_zeros((len(old), rows, slots + 1, *old.shape[3:]))
        larger[:, : self.rows, :old_slots] = old[:, : self.rows, :old_slots]
        self.slots = slots
        self._allocate(larger)


def _move_singly(tensor: Tensor, moves: Mapping[int, int]) -> None:
    """Copy rows of dimension 1: measured on a CPU twice as fast as gathering them all at once."""
    spare = tensor[:, 0]
    for index, row in _in_order(moves):
        source = spare if row == _SPARE else tensor[:, row]
        if index == _SPARE:
            spare = tensor[:, row].clone()
        else:
            tensor[:, index] = source


_SPARE = -1


def _in_order(moves: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Yield moves (to, from) so that no row is overwritten before all who want it have it.

    Of rows that change places, one waits in a spare row, -1.

    >>> list(_in_order({1: 0, 2: 1})), list(_in_order({0: 1, 1: 0}))
    ([(2, 1), (1, 0)], [(-1, 0), (0, 1), (1, -1)])
    """
    left, wanted = dict(moves), Counter(moves.values())
    ready = [index for index in left if not wanted[index]]
    while left:
        if not ready:
            saved = next(iter(left))
            yield _SPARE, saved
            left = {to: _SPARE if row == saved else row for to, row in left.items()}
            ready.append(saved)
        index = ready.pop()
        row = left.pop(index)
        yield index, row
        wanted[row] -= 1
        if not wanted[row] and row in left:
            ready.append(row)
