"""Whole documents packed into windows, in which none sees another.

Shape suffixes: B windows, T tokens of a window, P pieces of documents.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch

from ..inputs import IGNORE, Batch, ModelInputs
from .batches import IndexArray, flat_indices, format_rows
from .pieces import Pieces, count_within, cut_pieces
from .store import Ids


def pack(lengths: IndexArray, size: int) -> list[list[int]]:
    """Return the indices of texts that go together into windows of `size` tokens.

    Best fit decreasing: from the longest on, each goes where it leaves the least room.

    >>> pack(np.array([2, 5, 3, 4]), 6)
    [[1], [3, 0], [2]]
    """
    windows: list[list[int]] = []
    rooms: list[int] = []  # in which windows have room, sorted, each once
    windows_of: dict[int, list[int]] = {}  # by their room
    for text in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[text])
        index = bisect_left(rooms, length)
        if index < len(rooms):
            room = rooms[index]
            window = windows_of[room].pop()
            if not windows_of[room]:
                rooms.pop(index)
                del windows_of[room]
        else:
            room, window = size, len(windows)
            windows.append([])
        windows[window].append(text)
        if room - length not in windows_of:
            insort(rooms, room - length)
        windows_of.setdefault(room - length, []).append(window)
    return windows


class PackedData:
    """Documents of a stream, each whole in a window of `context` tokens, or cut where longer.

    Each begins with the end token before it, from which its first token is predicted, or where it
    `has_begin` with a token of its own, and ends with its own end token, which is predicted.
    Segments tell the documents of a window apart, and positions begin anew in each. What is packed
    together never changes, as it makes no difference; every epoch shuffles the windows.
    """

    def __init__(
        self,
        ids: Ids,
        *,
        end_id: int,
        has_begin: bool = False,
        context: int,
        max_tokens: int,
        seed: int,
    ) -> None:
        self.seed = seed
        self.pieces = _documents_with_ends(ids, end_id, context, has_begin=has_begin)
        windows = pack(self.pieces.lengths, context)
        self._order = np.concatenate(windows)  # pieces, window by window
        self._counts = np.array([len(pieces) for pieces in windows])
        self._firsts = np.cumsum(self._counts) - self._counts
        self._windows_per_batch = max(1, max_tokens // context)
        self.batches_per_epoch = -(-len(windows) // self._windows_per_batch)
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def batch(self, number: int) -> Batch:
        """See Data."""
        return self._make(self._windows(number))

    def num_targets(self, number: int) -> int:
        """See Data."""
        return int(self.pieces.lengths[self._pieces_of(self._windows(number))].sum())

    def describe(self, number: int) -> str:
        """See Data."""
        pieces = self._pieces_of(self._windows(number))
        return f"documents at tokens {format_rows(self.pieces.starts[pieces])}"

    def in_order(self) -> Iterator[Batch]:
        """See Data."""
        every = np.arange(len(self._counts))
        for first in range(0, len(every), self._windows_per_batch):
            yield self._make(every[first : first + self._windows_per_batch])

    def _windows(self, number: int) -> IndexArray:
        """Return the windows of batch `number`."""
        epoch, index = divmod(number, self.batches_per_epoch)
        size = self._windows_per_batch
        return self._epoch(epoch)[index * size : (index + 1) * size]

    def _shuffle(self, epoch: int) -> IndexArray:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self._counts))

    def _pieces_of(self, windows: IndexArray) -> IndexArray:
        """Return the pieces in windows, one after another."""
        counts = self._counts[windows]
        return self._order[np.repeat(self._firsts[windows], counts) + count_within(counts)]

    def _make(self, windows: IndexArray) -> Batch:
        pieces, counts = self._pieces_of(windows), self._counts[windows]
        lengths_P = self.pieces.lengths[pieces]
        position = count_within(lengths_P)
        token = np.repeat(self.pieces.starts[pieces], lengths_P) + position
        segment = np.repeat(count_within(counts), lengths_P)
        lengths_B = np.add.reduceat(lengths_P, np.cumsum(counts) - counts)
        mask_BT = np.arange(lengths_B.max()) < lengths_B[:, None]
        ids = np.asarray(self.pieces.ids)
        ids_BT, targets_BT, positions_BT, segments_BT = (
            np.full(mask_BT.shape, fill, dtype=np.int64) for fill in (0, IGNORE, -1, -1)
        )
        ids_BT[mask_BT], targets_BT[mask_BT] = ids.take(token), ids.take(token + 1)
        positions_BT[mask_BT], segments_BT[mask_BT] = position, segment
        return Batch(
            inputs=ModelInputs(
                torch.from_numpy(ids_BT),
                torch.from_numpy(positions_BT),
                segments_BT=torch.from_numpy(segments_BT),
            ),
            targets=torch.from_numpy(targets_BT),
            num_targets=int(lengths_B.sum()),
            rows=self.pieces.starts[pieces[np.cumsum(counts) - counts]],
            predicted_N=flat_indices(mask_BT),
        )


def _documents_with_ends(ids: Ids, end_id: int, length: int, *, has_begin: bool) -> Pieces:
    """Return documents from the end token before each on, to the token before the end of its own.

    So a piece's targets are the tokens one further. A document that `has_begin` begins after that
    end token. Documents of nothing are left out.
    """
    ids_N = np.asarray(ids)
    borders = np.flatnonzero(ids_N == end_id)
    if len(ids):  # a stream that begins or ends within a document
        borders = np.unique(np.concatenate([[0], borders, [len(ids) - 1]]))
    is_end = ids_N[borders] == end_id
    starts = borders[:-1] + (is_end[:-1] & has_begin)
    lengths = borders[1:] - starts
    has_text = (lengths > 1) | ~is_end[:-1] | ~is_end[1:]
    return cut_pieces(ids, starts[has_text], lengths[has_text], length)
