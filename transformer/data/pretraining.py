"""Data to pre-train on: text with the noise of each published objective.

Shape suffixes: T tokens of a piece.
"""

from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError
from ..inputs import IGNORE
from .framing import Framing
from .noise import (
    DenoisingOptions,
    MaskingOptions,
    NoiseVocabulary,
    SpanOptions,
    corrupt_spans,
    corrupted_lengths,
    denoise,
    draw_prefix_length,
    mask_tokens,
)
from .noise.spans import count_noise
from .noise.vocabulary import RowIds
from .noisy import Made, NoisyData, NoisyPairs, padded
from .pieces import Pieces


class MaskedData(NoisyData):
    """Text for a masked language model: an encoder predicts the tokens that noise chose.

    `before` and `after` are the special tokens around each piece.
    """

    def __init__(
        self,
        pieces: Pieces,
        *,
        vocabulary: NoiseVocabulary,
        options: MaskingOptions,
        before: Sequence[int] = (),
        after: Sequence[int] = (),
        max_tokens: int,
        seed: int,
    ) -> None:
        self.vocabulary, self.options = vocabulary, options
        self.before, self.after = before, after
        vocabulary.require_mask()
        super().__init__(pieces, max_tokens=max_tokens, seed=seed)

    def sides(self, length: int) -> tuple[int, int]:
        """See NoisyData."""
        size = length + len(self.before) + len(self.after)
        return size, size

    def make(self, texts: Sequence[RowIds], rngs: Sequence[np.random.Generator]) -> Made:
        """See NoisyData."""
        pairs = [
            mask_tokens(text, rng, self.vocabulary, self.options)
            for text, rng in zip(texts, rngs, strict=True)
        ]
        before, after = self.before, self.after
        inputs = padded([[*before, *noisy.tolist(), *after] for noisy, _ in pairs])
        ignored = [IGNORE] * len(before), [IGNORE] * len(after)
        return inputs, [[*ignored[0], *targets.tolist(), *ignored[1]] for _, targets in pairs]


class SpanCorruptionData(NoisyPairs):
    """Text for T5's span corruption: the source lacks spans, which the target has.

    Sources have at most `raw_length(n, options)` tokens of text to be no longer than n. Special
    tokens that part documents are left out, as T5 joins them.
    """

    def __init__(
        self,
        pieces: Pieces,
        *,
        vocabulary: NoiseVocabulary,
        options: SpanOptions,
        framing: Framing,
        max_tokens: int,
        seed: int,
    ) -> None:
        self.vocabulary, self.options = vocabulary, options
        self._sentinel_ids = np.array(vocabulary.sentinel_ids, dtype=np.int64)
        longest = int(pieces.whole.lengths.max())
        needed = count_noise(longest, options)[1] + options.closing_sentinel
        if needed > len(self._sentinel_ids):
            raise ConfigError(
                f"texts of {longest:,} tokens have {needed:,} sentinels; the tokenizer has "
                f"{len(self._sentinel_ids):,}: lower training.context or raise spans.mean_span"
            )
        super().__init__(pieces, framing=framing, max_tokens=max_tokens, seed=seed)

    def sides(self, length: int) -> tuple[int, int]:
        """See NoisyData."""
        return self.framing.lengths(*corrupted_lengths(length, self.options))

    def pair(self, ids_T: RowIds, rng: np.random.Generator) -> tuple[RowIds, RowIds]:
        """See NoisyPairs."""
        ids_T = ids_T[self.vocabulary.is_ordinary(ids_T)]
        return corrupt_spans(ids_T, rng, self._sentinel_ids, self.options)


class DenoisingData(NoisyPairs):
    """Text for BART: it is written from itself with noise.

    No source is longer than the longest piece: noise with so many empty spans, which are masks, is
    drawn again.
    """

    def __init__(
        self,
        pieces: Pieces,
        *,
        vocabulary: NoiseVocabulary,
        options: DenoisingOptions,
        framing: Framing,
        max_tokens: int,
        seed: int,
    ) -> None:
        self.vocabulary, self.options = vocabulary, options
        self._longest = int(pieces.whole.lengths.max())
        if options.writes_masks:
            vocabulary.require_mask()
        super().__init__(pieces, framing=framing, max_tokens=max_tokens, seed=seed)

    def sides(self, length: int) -> tuple[int, int]:
        """See NoisyData. A source is rarely longer, by empty spans that are masks."""
        return self.framing.lengths(length, length)

    def pair(self, ids_T: RowIds, rng: np.random.Generator) -> tuple[RowIds, RowIds]:
        """See NoisyPairs."""
        longest = max(self._longest, len(ids_T))
        while len(noisy_T := denoise(ids_T, rng, self.vocabulary, self.options)) > longest:
            pass
        return noisy_T, ids_T


class PrefixData(NoisyPairs):
    """Text for a prefix LM with an encoder: it reads a prefix, and the rest is written."""

    def sides(self, length: int) -> tuple[int, int]:
        """See NoisyData. Either may be nearly all of a piece."""
        return self.framing.lengths(length, length)

    def pair(self, ids_T: RowIds, rng: np.random.Generator) -> tuple[RowIds, RowIds]:
        """See NoisyPairs."""
        cut = draw_prefix_length(len(ids_T), rng)
        return ids_T[:cut], ids_T[cut:]
