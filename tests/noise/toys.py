"""Small vocabularies and generators for noise."""

import numpy as np

from transformer.data.noise import NoiseVocabulary

BEGIN, END, MASK = 0, 1, 2
STOP = 3  # the full stop
SIZE = 50
SENTINELS = range(49, 39, -1)
PIECES = range(30, 40)  # tokens that continue a word


def table(ids) -> np.ndarray:
    """A boolean table by id."""
    return np.isin(np.arange(SIZE), list(ids))


def vocabulary(**changes) -> NoiseVocabulary:
    facts = {
        "size": SIZE,
        "special_ids": [BEGIN, END],
        "mask_id": MASK,
        "sentinel_ids": SENTINELS,
        "continues_word_V": table(PIECES),
        "ends_sentence_V": table([STOP]),
    }
    return NoiseVocabulary(**facts | changes)


def rng_of(*keys: int) -> np.random.Generator:
    return np.random.default_rng(keys or [0])


def random_row(length: int, *keys: int) -> np.ndarray:
    """Ordinary tokens, no pieces, as they are stored."""
    return rng_of(length, *keys).integers(4, 30, length).astype(np.uint16)


def is_subsequence(short: list[int], long: list[int]) -> bool:
    rest = iter(long)
    return all(token in rest for token in short)
