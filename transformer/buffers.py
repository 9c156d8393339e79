"""Growing tensors of rows that may be repeated, dropped, added and joined.

Shape suffixes: B rows, H heads, T written slots, N their places, one behind another, K width.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

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
    """A tensor (parts, rows, heads, slots + 1, width) that grows, with spare rows.

    Slots are 0 until they are written, and their memory is touched when they are first filled. The
    last slot takes what is not kept: position -1 writes there, and nothing reads it.
    """

    def __init__(self, tensor: Tensor) -> None:
        """`tensor` is the room: its numbers are not read."""
        self.parts, self.rows, self.slots = len(tensor), tensor.size(1), tensor.size(3) - 1
        self._filled = 0  # slots of which all rows are written, or 0
        self._allocate(tensor)

    def _allocate(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._joined = tensor.flatten(1, 3).unbind()  # each part's rows, one behind another

    def places(self, slots_BT: Tensor) -> Tensor:
        """Return where slots of rows lie in a part whose rows are joined, (B·H·T)."""
        size, heads = self.slots + 1, self._tensor.size(2)
        ends = len(slots_BT) * heads * size
        starts_BH1 = torch.arange(0, ends, size, device=slots_BT.device).view(-1, heads, 1)
        return (starts_BH1 + (slots_BT % size)[:, None]).flatten()

    def write(self, part: int, places_N: Tensor, values_BTHK: Tensor) -> None:
        """Write values into places of one part, in slots that are filled."""
        self._joined[part].index_copy_(0, places_N, values_BTHK.transpose(1, 2).flatten(0, 2))

    def read(self, used: int) -> Sequence[Tensor]:
        """Return each part's first `used` slots, (B, H, used, K), which later writes change."""
        self.fill(used)
        return self._tensor[:, : self.rows, :, :used].unbind()

    def fill(self, used: int) -> None:
        """Let the first `used` slots be written, or 0."""
        if used > self._filled:
            self._tensor[:, : self.rows, :, self._filled : used] = 0
            self._filled = used

    def reorder(self, rows: Sequence[int], lengths: Sequence[int] | None = None) -> None:
        """Gather rows: row r becomes row `rows[r]`; rows that do not move are not copied.

        Of a row, `lengths` tells how many slots are in use: what lies behind them need not follow.
        """
        if len(rows) > self._tensor.size(1):
            self._resize(len(rows), self.slots)
        moves = {index: row for index, row in enumerate(rows) if index != row}
        filled = self._tensor[:, :, :, : self._filled]
        if moves and filled.device.type == "cpu":
            used = {}
            if lengths is not None:
                used = {to: lengths[row] for to, row in moves.items() if to < self.rows}
            _move_singly(filled, moves, used)
        elif moves:
            pairs = torch.tensor([*moves.items()], device=filled.device)
            destination, source = pairs.unbind(dim=1)
            for part in filled:  # one by one, for room
                part.index_copy_(0, destination, part.index_select(0, source))
        self.rows = len(rows)

    def append_rows(self, other: "Buffers") -> None:
        """Append another's rows to these."""
        rows, slots = self.rows + other.rows, max(self.slots, other.slots)
        if rows > self._tensor.size(1) or slots > self.slots:
            self._resize(rows, slots)
        self.fill(other._filled)
        new = self._tensor[:, self.rows : rows]
        new[:, :, :, : other._filled] = other._tensor[:, : other.rows, :, : other._filled]
        new[:, :, :, other._filled : self._filled] = 0
        self.rows = rows

    def _resize(self, rows: int, slots: int) -> None:
        """Reallocate for `slots` slots and `rows` rows, half as many more if these are too few."""
        old = self._tensor
        rows = rows + rows // 2 if rows > old.size(1) else old.size(1)
        larger = old.new_empty((len(old), rows, old.size(2), slots + 1, old.size(4)))
        kept = (slice(None), slice(self.rows), slice(None), slice(self._filled))
        larger[kept] = old[kept]
        self.slots = slots
        self._allocate(larger)


def selection(entries: Sequence[int], device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return a function that gathers a tensor's entries.

    If dropped ones are at the end but for places that entries from there take, these alone are
    copied, in place.
    """
    moves = [(index, entry) for index, entry in enumerate(entries) if index != entry]
    if any(entry < len(entries) for _, entry in moves):
        entries_B = torch.tensor(entries, dtype=torch.long, device=device)
        return lambda tensor: tensor[entries_B]
    if not moves:
        return lambda tensor: tensor[: len(entries)]
    pairs = torch.tensor(moves, device=device)
    destination, source = pairs.unbind(dim=1)
    return lambda tensor: tensor.index_copy_(0, destination, tensor[source])[: len(entries)]


def gather_rows(tensor: Tensor, rows_R: Tensor) -> Tensor:
    """Return a tensor's rows: the tensor itself, written in place, where they are as many."""
    gathered = tensor[rows_R]
    return tensor.copy_(gathered) if len(gathered) == len(tensor) else gathered


def concatenate_rows(a: Tensor, b: Tensor, size: int, *, dim: int = 1, value: float = 0) -> Tensor:
    """Concatenate rows of two tensors, each filled up to a size of `dim` with `value`."""
    shape = [len(a) + len(b), *a.shape[1:]]
    shape[dim] = size
    joined = a.new_full(shape, value)
    for rows, own in ((joined[: len(a)], a), (joined[len(a) :], b)):
        rows.narrow(dim, 0, own.size(dim)).copy_(own)
    return joined


def _move_singly(tensor: Tensor, moves: Mapping[int, int], used: Mapping[int, int]) -> None:
    """Copy rows of dimension 1: measured on a CPU twice as fast as gathering them all at once.

    `used` are the slots that are copied into each row; those of others, which may never have been
    filled, are all.
    """
    spare = tensor[:, 0]
    for index, row in _in_order(moves):
        if index == _SPARE:
            spare = tensor[:, row].clone()
            continue
        source = spare if row == _SPARE else tensor[:, row]
        end = used.get(index)
        tensor[:, index, :, :end] = source[:, :, :end]


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
