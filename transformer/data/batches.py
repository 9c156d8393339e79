"""Batches: each a pure function of the data, a seed and the step.

So resuming needs nothing but the step's number, and any number of readers see the same order.
Shape suffixes: B batch, T target tokens, S source tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..masks import padded_positions
from .store import Ids, TokenStore

IGNORE = -100  # a target that is none: padding

Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a model reads and what it should have written."""

    ids_BT: Tensor
    targets_BT: Tensor  # IGNORE where there is nothing to predict
    target_tokens: int
    rows: Index  # which rows of the data these are
    source_BS: Tensor | None = None
    source_positions_BS: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        move = [self.ids_BT, self.targets_BT, self.source_BS, self.source_positions_BS]
        ids, targets, source, positions = (
            None if t is None else t.to(device, non_blocking=True) for t in move
        )
        assert ids is not None and targets is not None
        return Batch(
            ids_BT=ids,
            targets_BT=targets,
            target_tokens=self.target_tokens,
            rows=self.rows,
            source_BS=source,
            source_positions_BS=positions,
        )


class Data(Protocol):
    """Training or validation data that a loop can draw from."""

    batches_per_epoch: int

    def batch(self, number: int) -> Batch:
        """Batch `number` of an endless shuffled sequence."""
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
        self._epoch = (-1, order, order)

    def batch(self, number: int) -> Batch:
        """See Data."""
        epoch, place = divmod(number, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, *self._shuffle(epoch))
        _, order, batches = self._epoch
        return self._rows(order, int(batches[place]))

    def _shuffle(self, epoch: int) -> tuple[Index, Index]:
        generator = np.random.default_rng([self.seed, epoch])
        ties = generator.permutation(len(self.source))
        order = np.lexsort((ties, self._source_lengths, self._target_lengths))
        return order, generator.permutation(self.batches_per_epoch)

    def in_order(self) -> Iterator[Batch]:
        """See Data."""
        order = np.lexsort((self._source_lengths, self._target_lengths))
        for place in range(self.batches_per_epoch):
            yield self._rows(order, place)

    def _rows(self, order: Index, place: int) -> Batch:
        rows = order[self._cuts[place] : self._cuts[place + 1]]
        sources = [[*self.source[row], self.end] for row in rows]
        targets = [self.target[row].tolist() for row in rows]
        lengths_B = torch.tensor([len(row) for row in sources])
        source_BS = pad(sources, self.end)
        padded = bool((lengths_B < source_BS.size(1)).any())
        return Batch(
            ids_BT=pad([[self.begin, *row] for row in targets], self.end),
            targets_BT=pad([[*row, self.end] for row in targets], IGNORE),
            target_tokens=sum(len(row) + 1 for row in targets),
            rows=rows,
            source_BS=source_BS,
            source_positions_BS=padded_positions(lengths_B, source_BS.size(1)) if padded else None,
        )


class WindowData:
    """A stream of ids in windows of `context` tokens, packed without padding.

    Every epoch shifts the windows' borders and shuffles their order.
    """

    def __init__(self, ids: Ids, *, context: int, budget: int, seed: int) -> None:
        self.ids, self.seed = ids, seed
        self.context = min(context, len(self.ids) - 1)
        self._windows = max(1, (len(self.ids) - 1) // self.context - 1)
        self._rows = min(max(1, budget // self.context), self._windows)
        self.batches_per_epoch = self._windows // self._rows
        self._epoch = (-1, np.empty(0, dtype=np.int64))

    def batch(self, number: int) -> Batch:
        """See Data."""
        epoch, place = divmod(number, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._shuffle(epoch))
        starts = self._epoch[1][place * self._rows : (place + 1) * self._rows]
        return self._cut(starts)

    def _shuffle(self, epoch: int) -> Index:
        generator = np.random.default_rng([self.seed, epoch])
        room = len(self.ids) - 1 - self._windows * self.context
        shift = generator.integers(0, min(room, self.context) + 1)
        return shift + self.context * generator.permutation(self._windows)

    def in_order(self) -> Iterator[Batch]:
        """See Data. Each token but the first is predicted exactly once."""
        starts = np.arange(0, len(self.ids) - 1, self.context)
        for place in range(0, len(starts), self._rows):
            yield self._cut(starts[place : place + self._rows])

    def _cut(self, starts: Index) -> Batch:
        windows = [self.ids[start : start + self.context + 1].tolist() for start in starts]
        targets_BT = pad([window[1:] for window in windows], IGNORE)
        return Batch(
            ids_BT=pad([window[:-1] for window in windows], 0),
            targets_BT=targets_BT,
            target_tokens=int((targets_BT != IGNORE).sum()),
            rows=starts,
        )
