"""Batches to pre-train on, with noise: each a pure function of the data, a seed and its number.

Noise is drawn from (seed, epoch, piece) in training. To validate, it is drawn from the piece alone,
so that scores of a run, and of runs with other seeds, are of the same task.
Shape suffixes: B batch, T tokens.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch

from ..inputs import IGNORE, Batch, ModelInputs
from ..masks import padded_positions
from .batches import IndexArray, cut_batches, flat_indices, format_rows
from .framing import Framing
from .noise.vocabulary import RowIds
from .pieces import Pieces
from .rows import pad

Made: TypeAlias = tuple[ModelInputs, Sequence[Sequence[int]]]  # and the targets of each row

_VALIDATION = (0x5EED,)  # the key of its noise, in place of a seed and an epoch
_KEPT = 8  # batches; their targets are counted before they are used


class NoisyData(ABC):
    """Pieces of text in batches of similar length; a subclass says what becomes of them.

    A batch has at most `max_tokens` tokens, padding included, or one piece. Every epoch sorts the
    pieces by length, in random order among equals, and shuffles the batches.
    """

    def __init__(self, pieces: Pieces, *, max_tokens: int, seed: int) -> None:
        self.pieces, self.seed, self._max_tokens = pieces, seed, max_tokens
        self._cuts = self._cut(pieces)[1]
        self.batches_per_epoch = len(self._cuts) - 1
        self._epoch = lru_cache(maxsize=2)(self._shuffle)  # a step may end in the next epoch
        self._batch = lru_cache(maxsize=_KEPT)(self._make_numbered)

    def batch(self, number: int) -> Batch:
        """See Data."""
        return self._batch(number)

    def num_targets(self, number: int) -> int:
        """See Data. Noise decides it, so the batch is made, and kept for its use."""
        return self._batch(number).num_targets

    def describe(self, number: int) -> str:
        """See Data."""
        return f"texts at tokens {format_rows(self._batch(number).rows)}"

    def in_order(self) -> Iterator[Batch]:
        """See Data."""
        order, cuts = self._cut(self.pieces.whole)
        for first, last in pairwise(cuts):
            yield self._make(self.pieces.whole, order[first:last], 0, _VALIDATION)

    @abstractmethod
    def sides(self, length: int) -> tuple[int, int]:
        """Return the lengths that a piece of so many tokens has in a batch: source and target."""

    @abstractmethod
    def make(self, texts: Sequence[RowIds], rngs: Sequence[np.random.Generator]) -> Made:
        """Return the inputs and targets for pieces, with noise from the generator of each."""

    def _cut(self, pieces: Pieces) -> tuple[IndexArray, list[int]]:
        """Return pieces in the order of their lengths, and the borders of batches of them."""
        order = np.argsort(pieces.lengths, kind="stable")
        kinds, kind = np.unique(pieces.lengths[order], return_inverse=True)
        sides = np.array([self.sides(length) for length in kinds.tolist()])[kind]
        return order, cut_batches(sides[:, 0], sides[:, 1], self._max_tokens)

    def _shuffle(self, epoch: int) -> tuple[int, IndexArray, IndexArray]:
        """Return an epoch's shift, the sorted order of its pieces and the order of its batches."""
        generator = np.random.default_rng([self.seed, epoch])
        shift = int(generator.integers(0, self.pieces.max_shift + 1))
        order = np.lexsort((generator.permutation(len(self.pieces)), self.pieces.lengths))
        return shift, order, generator.permutation(self.batches_per_epoch)

    def _make_numbered(self, number: int) -> Batch:
        epoch, index = divmod(number, self.batches_per_epoch)
        shift, order, batches = self._epoch(epoch)
        first, last = self._cuts[batches[index] :][:2]
        return self._make(self.pieces, order[first:last], shift, (self.seed, epoch))

    def _make(
        self, pieces: Pieces, numbers: IndexArray, shift: int, keys: tuple[int, ...]
    ) -> Batch:
        texts = [pieces.read(number, shift) for number in numbers.tolist()]
        rngs = [np.random.default_rng([*keys, number]) for number in numbers.tolist()]
        inputs, rows = self.make(texts, rngs)
        targets_BT = pad(rows, IGNORE)
        predicted_BT = (targets_BT != IGNORE).numpy()
        return Batch(
            inputs=inputs,
            targets=targets_BT,
            num_targets=int(predicted_BT.sum()),
            rows=pieces.starts[numbers] + shift,
            predicted_N=flat_indices(predicted_BT),
        )


class NoisyPairs(NoisyData):
    """Pieces of text of which an encoder-decoder reads one form and writes another."""

    def __init__(self, pieces: Pieces, *, framing: Framing, max_tokens: int, seed: int) -> None:
        self.framing = framing
        super().__init__(pieces, max_tokens=max_tokens, seed=seed)

    @abstractmethod
    def pair(self, ids_T: RowIds, rng: np.random.Generator) -> tuple[RowIds, RowIds]:
        """Return the ids to read and those to write for a piece, without their frames."""

    def make(self, texts: Sequence[RowIds], rngs: Sequence[np.random.Generator]) -> Made:
        """See NoisyData."""
        framing = self.framing
        pairs = [self.pair(text, rng) for text, rng in zip(texts, rngs, strict=True)]
        source = padded([framing.source(ids.tolist()) for ids, _ in pairs])
        targets = [ids.tolist() for _, ids in pairs]
        ids_BT = pad([framing.decoder_input(ids) for ids in targets], 0)
        return ModelInputs(ids_BT, source=source), [framing.target(ids) for ids in targets]


def padded(rows: Sequence[Sequence[int]]) -> ModelInputs:
    """Return rows of ids as inputs, padded on the right; without positions where none is padded."""
    lengths_B = torch.tensor([len(row) for row in rows])
    ids_BT = pad(rows, 0)
    is_padded = int(lengths_B.min()) < ids_BT.size(1)
    return ModelInputs(ids_BT, padded_positions(lengths_B, ids_BT.size(1)) if is_padded else None)
