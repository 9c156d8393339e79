"""Batches: each a pure function of the data, a seed and the step.

So resuming needs nothing but the step's number, and any number of readers see the same order.
Shape suffixes: B batch, T target tokens, S source tokens, N tokens to predict.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..masks import padded_positions
from .store import Ids, TokenStore

IGNORE = -100  # a target that is none: padding

Index = NDArray[np.int64]
_SHOWN = 8  # rows of a batch that are named


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a model reads and what it should have written."""

    ids_BT: Tensor
    targets_BT: Tensor  # IGNORE where there is nothing to predict
    predicted_N: Tensor | None  # flat indices of the targets in B·T; None: all are targets
    target_tokens: int
    rows: Index  # which rows of the data these are
    source_BS: Tensor | None = None
    source_positions_BS: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device; from pinned memory without waiting for it."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """The same batch in memory from which a GPU copies by itself."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        tensors = {name: v for name, v in vars(self).items() if isinstance(v, Tensor)}
        changed: dict[str, Any] = {name: change(tensor) for name, tensor in tensors.items()}
        return replace(self, **changed)


class Data(Protocol):
    """Training or validation data that a loop can draw from, in several threads at once."""

    batches_per_epoch: int

    def batch(self, number: int) -> Batch:
        """Batch `number` of an endless shuffled sequence."""
        ...

    def target_tokens(self, number: int) -> int:
        """Count the tokens that batch `number` has to predict, without making it."""
        ...

    def describe(self, number: int) -> str:
        """Say which of the data are in batch `number`."""
        ...

    def in_order(self) -> Iterator[Batch]:
        """All the data once, in a fixed order."""
        ...


def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows of ids as one tensor (B, longest), padded on the right."""
    longest = max(len(row) for row in rows)
    padded = np.full((len(rows), longest), value, dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return torch.from_numpy(padded)


def pad_rows(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor (B, longest), and where each token stands, -1 for padding."""
    ids_BT = pad(rows, 0).to(device)
    lengths_B = torch.tensor([len(row) for row in rows], device=device)
    return ids_BT, padded_positions(lengths_B, ids_BT.size(1))


def cut(source_lengths: Index, target_lengths: Index, budget: int) -> list[int]:
    """Where to cut sorted rows into batches of `rows x longest side <= budget`; at least one row.

    >>> cut(np.array([1, 2, 3]), np.array([2, 2, 2]), 4)
    [0, 2, 3]
    """
    cuts, longest = [0], 0
    for row, length in enumerate(np.maximum(source_lengths, target_lengths).tolist()):
        longest = max(longest, length)
        if row > cuts[-1] and (row + 1 - cuts[-1]) * longest > budget:
            cuts.append(row)
            longest = length
    return [*cuts, len(source_lengths)]


def gather(ids: Ids, starts: Index, lengths: Index, fill: int) -> tuple[Index, NDArray[np.bool_]]:
    """Cut pieces out of a flat array into one of (B, longest), and say where they are in it.

    >>> gather(np.array([5, 6, 7]), np.array([1, 0]), np.array([2, 1]), 0)[0].tolist()
    [[6, 7], [5, 0]]
    """
    places = np.arange(lengths.max(initial=0))
    inside, where = places < lengths[:, None], starts[:, None] + places
    if inside.all():
        return np.asarray(ids).take(where).astype(np.int64), inside
    rows = np.full(inside.shape, fill, dtype=np.int64)
    rows[inside] = np.asarray(ids).take(where[inside])
    return rows, inside


def _where(inside: NDArray[np.bool_]) -> Tensor | None:
    """Return flat indices of what is inside; None where that is everything."""
    return None if inside.all() else torch.from_numpy(np.flatnonzero(inside))


def _shown(rows: Index) -> str:
    return ", ".join(f"{row:,}" for row in rows[:_SHOWN]) + (" …" if len(rows) > _SHOWN else "")


class PairData:
    """Source and target rows, batched by a budget of padded tokens among rows of like length.

    Every epoch sorts the rows by length anew with random order among equals. The sorted lengths
    are the same each time, so the cuts are made once and an epoch always has as many batches.
    """

    def __init__(
        self,
        source: TokenStore,
        target: TokenStore,
        *,
        begin: int,
        end: int,
        budget: int,
        seed: int,
    ) -> None:
        self.source, self.target = source, target
        self.begin, self.end, self.seed = begin, end, seed
        self._source_lengths, self._target_lengths = source.lengths() + 1, target.lengths() + 1
        order = np.lexsort((self._source_lengths, self._target_lengths))
        self._cuts = cut(self._source_lengths[order], self._target_lengths[order], budget)
        self.batches_per_epoch = len(self._cuts) - 1
        self._epoch = lru_cache(maxsize=2)(self._shuffle)  # a step may end in the next one

    def batch(self, number: int) -> Batch:
        """See Data."""
        return self._make(self._rows(number))

    def target_tokens(self, number: int) -> int:
        """See Data."""
        return int(self._target_lengths[self._rows(number)].sum())

    def describe(self, number: int) -> str:
        """See Data."""
        return f"kept pairs {_shown(self._rows(number))}"

    def in_order(self) -> Iterator[Batch]:
        """See Data."""
        order = np.lexsort((self._source_lengths, self._target_lengths))
        for first, last in pairwise(self._cuts):
            yield self._make(order[first:last])

    def _rows(self, number: int) -> Index:
        epoch, place = divmod(number, self.batches_per_epoch)
        order, batches = self._epoch(epoch)
        chosen = int(batches[place])
        return order[self._cuts[chosen] : self._cuts[chosen + 1]]

    def _shuffle(self, epoch: int) -> tuple[Index, Index]:
        generator = np.random.default_rng([self.seed, epoch])
        ties = generator.permutation(len(self.source))
        order = np.lexsort((ties, self._source_lengths, self._target_lengths))
        return order, generator.permutation(self.batches_per_epoch)

    def _make(self, rows: Index) -> Batch:
        source_lengths, target_lengths = self._source_lengths[rows], self._target_lengths[rows]
        # what follows a row is the end token, which is what padding is filled with
        source_BS, read_BS = self._gather(self.source, rows, source_lengths)
        ids_BT, real_BT = self._gather(self.target, rows, target_lengths)
        targets_BT = np.where(real_BT, ids_BT, IGNORE)
        ids_BT = np.roll(ids_BT, 1, axis=1)
        ids_BT[:, 0] = self.begin
        padded = not read_BS.all()
        positions_BS = np.where(read_BS, np.arange(read_BS.shape[1]), -1)
        return Batch(
            ids_BT=torch.from_numpy(ids_BT),
            targets_BT=torch.from_numpy(targets_BT),
            predicted_N=_where(real_BT),
            target_tokens=int(target_lengths.sum()),
            rows=rows,
            source_BS=torch.from_numpy(source_BS),
            source_positions_BS=torch.from_numpy(positions_BS) if padded else None,
        )

    def _gather(
        self, store: TokenStore, rows: Index, lengths: Index
    ) -> tuple[Index, NDArray[np.bool_]]:
        """Gather rows with the end token after each, which is counted in their lengths."""
        ids_BT, _ = gather(store.ids, store.offsets[rows], lengths - 1, self.end)
        ids_BT = np.pad(ids_BT, ((0, 0), (0, 1)), constant_values=self.end)
        return ids_BT, np.arange(ids_BT.shape[1]) < lengths[:, None]


class WindowData:
    """A stream of ids in windows of `context` tokens, packed without padding.

    Every epoch shifts the windows' borders and shuffles their order.
    """

    def __init__(self, ids: Ids, *, context: int, budget: int, seed: int) -> None:
        self.ids, self.seed = ids, seed
        self.context = min(context, len(self.ids) - 1)
        self._windows = max(1, (len(self.ids) - 1) // self.context - 1)
        self._in_batch = min(max(1, budget // self.context), self._windows)
        self.batches_per_epoch = self._windows // self._in_batch
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def batch(self, number: int) -> Batch:
        """See Data."""
        return self._make(self._starts(number))

    def target_tokens(self, number: int) -> int:
        """See Data."""
        del number
        return self._in_batch * self.context

    def describe(self, number: int) -> str:
        """See Data."""
        return f"windows at tokens {_shown(self._starts(number))}"

    def in_order(self) -> Iterator[Batch]:
        """See Data. Each token but the first is predicted exactly once."""
        starts = np.arange(0, len(self.ids) - 1, self.context)
        for place in range(0, len(starts), self._in_batch):
            yield self._make(starts[place : place + self._in_batch])

    def _starts(self, number: int) -> Index:
        epoch, place = divmod(number, self.batches_per_epoch)
        return self._epoch(epoch)[place * self._in_batch : (place + 1) * self._in_batch]

    def _shuffle(self, epoch: int) -> Index:
        generator = np.random.default_rng([self.seed, epoch])
        room = len(self.ids) - 1 - self._windows * self.context
        shift = generator.integers(0, min(room, self.context) + 1)
        return shift + self.context * generator.permutation(self._windows)

    def _make(self, starts: Index) -> Batch:
        lengths = np.minimum(self.context, len(self.ids) - 1 - starts)
        ids_BT, real_BT = gather(self.ids, starts, lengths, 0)
        targets_BT, _ = gather(self.ids, starts + 1, lengths, IGNORE)
        return Batch(
            ids_BT=torch.from_numpy(ids_BT),
            targets_BT=torch.from_numpy(targets_BT),
            predicted_N=_where(real_BT),
            target_tokens=int(lengths.sum()),
            rows=starts,
        )
