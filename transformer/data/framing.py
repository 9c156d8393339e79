"""The ids around the texts of a pair: what an encoder and a decoder read, and what is predicted.

Shape suffixes: B rows, T tokens of the longest row with what stands around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Framing:
    """The ids around the texts of a pair, in training as in decoding.

    The encoder reads `source_before`, the source's ids and `source_after`. The decoder reads
    `start`, which is not predicted, and predicts `target_before` (a language's token, or another
    that stands before each text), the target's ids and `target_after`.

    >>> framing = Framing(start=2, source_after=(2,), target_before=(9,), target_after=(2,))
    >>> framing.source([5, 6]), framing.target([7]), framing.decoder_input([7])
    ([5, 6, 2], [9, 7, 2], [2, 9, 7])
    """

    start: int
    source_before: tuple[int, ...] = ()
    source_after: tuple[int, ...] = ()
    target_before: tuple[int, ...] = ()
    target_after: tuple[int, ...] = ()

    def source(self, ids: Sequence[int]) -> list[int]:
        """Return the ids that an encoder reads for a source."""
        return [*self.source_before, *ids, *self.source_after]

    def target(self, ids: Sequence[int]) -> list[int]:
        """Return the ids that a decoder predicts for a target."""
        return [*self.target_before, *ids, *self.target_after]

    def decoder_input(self, ids: Sequence[int]) -> list[int]:
        """Return the ids that a decoder reads for a target: the last one predicted is not read."""
        return [self.start, *self.target(ids)[:-1]]

    def lengths(self, source: int, target: int) -> tuple[int, int]:
        """Return the lengths of both sides with the tokens around them."""
        return (
            source + len(self.source_before) + len(self.source_after),
            target + len(self.target_before) + len(self.target_after),
        )


def surround(
    ids_BT: NDArray[np.int64],
    lengths_B: NDArray[np.int64],
    before: Sequence[int],
    after: Sequence[int],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return rows with ids before and after each, and the mask of what is not padding.

    The first `lengths_B` of each row are its own. Padding repeats the last id of `after`, if any.

    >>> ids, lengths = np.array([[5, 6], [7, 0]]), np.array([2, 1])
    >>> surround(ids, lengths, [1], [3])[0].tolist()
    [[1, 5, 6, 3], [1, 7, 3, 3]]
    """
    fill, width = (after[-1] if after else 0), ids_BT.shape[1]
    columns = np.arange(width + len(before) + len(after))
    framed_BT = np.full((len(ids_BT), len(columns)), fill, dtype=np.int64)
    framed_BT[:, : len(before)] = before
    inner_BT = np.where(np.arange(width) < lengths_B[:, None], ids_BT, fill)
    framed_BT[:, len(before) : len(before) + width] = inner_BT
    for offset, token_id in enumerate(after):
        framed_BT[np.arange(len(ids_BT)), len(before) + lengths_B + offset] = token_id
    return framed_BT, columns < (lengths_B + len(before) + len(after))[:, None]
