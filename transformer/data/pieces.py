"""Pieces of text to pre-train on: windows of a stream, or documents, none over a limit."""

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from .batches import IndexArray
from .store import Ids, TokenStore


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """Pieces of a flat array of ids, none of them empty.

    In training, all may be shifted by up to `max_shift` tokens, anew in each epoch; then
    `all_tokens` are the pieces that have every token once, in order.
    """

    ids: Ids
    starts: IndexArray
    lengths: IndexArray
    max_shift: int = 0
    all_tokens: "Pieces | None" = None  # None: these have

    def __post_init__(self) -> None:
        if not len(self.starts):
            raise ConfigError("the text has no tokens to train on")

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def whole(self) -> "Pieces":
        """The pieces to validate on, which have every token once, in order."""
        return self.all_tokens or self

    def read(self, piece: int, shift: int = 0) -> Ids:
        """Return the ids of a piece."""
        start = int(self.starts[piece]) + shift
        return self.ids[start : start + int(self.lengths[piece])]


def window_pieces(ids: Ids, length: int) -> Pieces:
    """Return windows of `length` tokens of a stream, whose borders move in each epoch.

    So each epoch leaves other tokens out, at the stream's ends. A stream that is no longer than a
    window is one.
    """
    length = min(length, len(ids))
    windows = max(1, len(ids) // length - 1) if length else 0
    starts = np.arange(0, len(ids), length) if length else np.empty(0, dtype=np.int64)
    every = Pieces(ids=ids, starts=starts, lengths=np.minimum(length, len(ids) - starts))
    return Pieces(
        ids=ids,
        starts=length * np.arange(windows),
        lengths=np.full(windows, length),
        max_shift=min(length, len(ids) - windows * length),
        all_tokens=every,
    )


def document_pieces(ids: Ids, length: int, *, end_id: int) -> Pieces:
    """Return the documents of a stream, which the end token stands between, cut where too long."""
    ends = np.flatnonzero(np.asarray(ids) == end_id)
    starts, stops = np.append(0, ends + 1), np.append(ends, len(ids))
    return cut_pieces(ids, starts, stops - starts, length)


def row_pieces(store: TokenStore, length: int) -> Pieces:
    """Return the rows of a store, cut where too long."""
    return cut_pieces(store.ids, np.asarray(store.offsets[:-1]), store.lengths(), length)


def cut_pieces(ids: Ids, starts: IndexArray, lengths: IndexArray, length: int) -> Pieces:
    """Return texts cut into pieces of at most `length` tokens, those of a text equally long."""
    counts = -(-lengths // length)  # rounded up
    text = np.repeat(np.arange(len(starts)), counts)
    number = count_within(counts)
    first = number * lengths[text] // counts[text]
    last = (number + 1) * lengths[text] // counts[text]
    return Pieces(ids=ids, starts=starts[text] + first, lengths=last - first)


def count_within(counts: IndexArray) -> IndexArray:
    """Return 0 … n-1 for each of several counts, one after another.

    >>> count_within(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    total = np.arange(counts.sum())
    return total - np.repeat(np.cumsum(counts) - counts, counts)
