"""Batches: each a pure function of the data, a seed and the step.

So resuming needs only the number of the step, and any number of readers see the same order.
Shape suffixes: B batch, T target tokens, S source tokens, N tokens to predict.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..inputs import IGNORE, Batch, ModelInputs
from .framing import Framing, surround
from .store import Ids, TokenStore

IndexArray = NDArray[np.int64]
_MAX_NAMED_ROWS = 8  # of a batch, in messages


class Data(Protocol):
    """Training or validation data in batches; safe to read from several threads."""

    batches_per_epoch: int

    def batch(self, number: int) -> Batch:
        """Return batch `number` of an endless shuffled sequence."""
        ...

    def num_targets(self, number: int) -> int:
        """Count the targets of batch `number` without making it."""
        ...

    def describe(self, number: int) -> str:
        """Name the data in batch `number`, for messages."""
        ...

    def in_order(self) -> Iterator[Batch]:
        """Yield all the data once, in a fixed order."""
        ...


def cut_batches(
    source_lengths: IndexArray, target_lengths: IndexArray, max_tokens: int
) -> list[int]:
    """Return the borders of batches of sorted rows, of `rows x longest side <= max_tokens`.

    A batch has at least one row, however long.

    >>> cut_batches(np.array([1, 2, 3]), np.array([2, 2, 2]), 4)
    [0, 2, 3]
    """
    cuts, longest = [0], 0
    for row, length in enumerate(np.maximum(source_lengths, target_lengths).tolist()):
        longest = max(longest, length)
        if row > cuts[-1] and (row + 1 - cuts[-1]) * longest > max_tokens:
            cuts.append(row)
            longest = length
    return [*cuts, len(source_lengths)]


def gather_rows(
    ids: Ids, starts: IndexArray, lengths: IndexArray, fill: int
) -> tuple[IndexArray, NDArray[np.bool_]]:
    """Return pieces of a flat array as one of (B, longest), and the mask of what is not `fill`.

    >>> gather_rows(np.array([5, 6, 7]), np.array([1, 0]), np.array([2, 1]), 0)[0].tolist()
    [[6, 7], [5, 0]]
    """
    columns = np.arange(lengths.max(initial=0))
    mask, indices = columns < lengths[:, None], starts[:, None] + columns
    if mask.all():
        return np.asarray(ids).take(indices).astype(np.int64), mask
    rows = np.full(mask.shape, fill, dtype=np.int64)
    rows[mask] = np.asarray(ids).take(indices[mask])
    return rows, mask


def flat_indices(mask: NDArray[np.bool_]) -> Tensor | None:
    """Return the flat indices of what is True; None if all are."""
    return None if mask.all() else torch.from_numpy(np.flatnonzero(mask))


def format_rows(rows: IndexArray) -> str:
    """List the first indices of rows."""
    return ", ".join(f"{row:,}" for row in rows[:_MAX_NAMED_ROWS]) + (
        " …" if len(rows) > _MAX_NAMED_ROWS else ""
    )


class SortedRows(ABC):
    """Rows in batches of similar length; a subclass says what is in them.

    A batch has at most `max_tokens` tokens, padding included: rows times the longest side. Every
    epoch sorts the rows by length, in random order among equals, and shuffles the batches. The
    sorted lengths are the same each time, so batches are cut once and an epoch always has as many.
    """

    unit: ClassVar[str]  # of rows, in messages

    def __init__(
        self,
        source_lengths: IndexArray,
        target_lengths: IndexArray,
        *,
        max_tokens: int,
        seed: int,
    ) -> None:
        self.seed = seed
        self._source_lengths, self._target_lengths = source_lengths, target_lengths
        order = np.lexsort((self._source_lengths, self._target_lengths))
        self._cuts = cut_batches(
            self._source_lengths[order], self._target_lengths[order], max_tokens
        )
        self.batches_per_epoch = len(self._cuts) - 1
        self._epoch = lru_cache(maxsize=2)(self._shuffle)  # a step may end in the next epoch

    @abstractmethod
    def make(self, rows: IndexArray) -> Batch:
        """Return the batch of rows by their indices."""

    @abstractmethod
    def count_targets(self, rows: IndexArray) -> int:
        """Count the targets of rows without making their batch."""

    def batch(self, number: int) -> Batch:
        """See Data."""
        return self.make(self._rows(number))

    def num_targets(self, number: int) -> int:
        """See Data."""
        return self.count_targets(self._rows(number))

    def describe(self, number: int) -> str:
        """See Data."""
        return f"{self.unit} {format_rows(self._rows(number))}"

    def in_order(self) -> Iterator[Batch]:
        """See Data."""
        order = np.lexsort((self._source_lengths, self._target_lengths))
        for first, last in pairwise(self._cuts):
            yield self.make(order[first:last])

    def _rows(self, number: int) -> IndexArray:
        """Return the indices of the rows of batch `number`."""
        epoch, index = divmod(number, self.batches_per_epoch)
        order, batches = self._epoch(epoch)
        batch = int(batches[index])
        return order[self._cuts[batch] : self._cuts[batch + 1]]

    def _shuffle(self, epoch: int) -> tuple[IndexArray, IndexArray]:
        """Return the sorted order of an epoch's rows and the order of its batches."""
        generator = np.random.default_rng([self.seed, epoch])
        ties = generator.permutation(len(self._source_lengths))
        order = np.lexsort((ties, self._source_lengths, self._target_lengths))
        return order, generator.permutation(self.batches_per_epoch)


class PairData(SortedRows):
    """Pairs of source and target rows, with what stands around them."""

    unit = "kept pairs"

    def __init__(
        self,
        source: TokenStore,
        target: TokenStore,
        *,
        framing: Framing,
        max_tokens: int,
        seed: int,
    ) -> None:
        self.source, self.target, self.framing = source, target, framing
        more_source, more_target = framing.lengths(0, 0)
        lengths = source.lengths() + more_source, target.lengths() + more_target
        super().__init__(*lengths, max_tokens=max_tokens, seed=seed)

    def count_targets(self, rows: IndexArray) -> int:
        """See SortedRows."""
        return int(self._target_lengths[rows].sum())

    def make(self, rows: IndexArray) -> Batch:
        """See SortedRows."""
        framing = self.framing
        source_BS, source_mask_BS = _surrounded(
            self.source, rows, framing.source_before, framing.source_after
        )
        ids_BT, target_mask_BT = _surrounded(
            self.target, rows, framing.target_before, framing.target_after
        )
        targets_BT = np.where(target_mask_BT, ids_BT, IGNORE)
        ids_BT = np.roll(ids_BT, 1, axis=1)
        ids_BT[:, 0] = framing.start
        padded = not source_mask_BS.all()
        positions_BS = np.where(source_mask_BS, np.arange(source_mask_BS.shape[1]), -1)
        source = ModelInputs(
            torch.from_numpy(source_BS), torch.from_numpy(positions_BS) if padded else None
        )
        return Batch(
            inputs=ModelInputs(torch.from_numpy(ids_BT), source=source),
            targets=torch.from_numpy(targets_BT),
            predicted_N=flat_indices(target_mask_BT),
            num_targets=self.count_targets(rows),
            rows=rows,
        )


def _surrounded(
    store: TokenStore, rows: IndexArray, before: Sequence[int], after: Sequence[int]
) -> tuple[IndexArray, NDArray[np.bool_]]:
    """Return rows of a store with ids before and after each, and the mask of what is no padding."""
    starts = store.offsets[rows]
    lengths = store.offsets[rows + 1] - starts
    ids_BT, _ = gather_rows(store.ids, starts, lengths, 0)
    return surround(ids_BT, lengths, before, after)


class WindowData:
    """A stream of ids in windows of `context` tokens, packed without padding.

    A batch has at most `max_tokens` tokens, or one window. Every epoch shifts the windows' borders
    and shuffles their order.
    """

    def __init__(self, ids: Ids, *, context: int, max_tokens: int, seed: int) -> None:
        self.ids, self.seed = ids, seed
        self.context = min(context, len(self.ids) - 1)
        self._windows = max(1, (len(self.ids) - 1) // self.context - 1)
        self._windows_per_batch = min(max(1, max_tokens // self.context), self._windows)
        self.batches_per_epoch = self._windows // self._windows_per_batch
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def batch(self, number: int) -> Batch:
        """See Data."""
        return self._make(self._starts(number))

    def num_targets(self, number: int) -> int:
        """See Data."""
        del number
        return self._windows_per_batch * self.context

    def describe(self, number: int) -> str:
        """See Data."""
        return f"windows at tokens {format_rows(self._starts(number))}"

    def in_order(self) -> Iterator[Batch]:
        """See Data. Each token except the first is predicted exactly once."""
        starts = np.arange(0, len(self.ids) - 1, self.context)
        for start in range(0, len(starts), self._windows_per_batch):
            yield self._make(starts[start : start + self._windows_per_batch])

    def _starts(self, number: int) -> IndexArray:
        """Return the first tokens of the windows of batch `number`."""
        epoch, index = divmod(number, self.batches_per_epoch)
        return self._epoch(epoch)[
            index * self._windows_per_batch : (index + 1) * self._windows_per_batch
        ]

    def _shuffle(self, epoch: int) -> IndexArray:
        """Return the first tokens of an epoch's windows, in its order."""
        generator = np.random.default_rng([self.seed, epoch])
        room = len(self.ids) - 1 - self._windows * self.context
        shift = generator.integers(0, min(room, self.context) + 1)
        return shift + self.context * generator.permutation(self._windows)

    def _make(self, starts: IndexArray) -> Batch:
        lengths = np.minimum(self.context, len(self.ids) - 1 - starts)
        ids_BT, mask_BT = gather_rows(self.ids, starts, lengths, 0)
        targets_BT, _ = gather_rows(self.ids, starts + 1, lengths, IGNORE)
        return Batch(
            inputs=ModelInputs(torch.from_numpy(ids_BT)),
            targets=torch.from_numpy(targets_BT),
            predicted_N=flat_indices(mask_BT),
            num_targets=int(lengths.sum()),
            rows=starts,
        )
