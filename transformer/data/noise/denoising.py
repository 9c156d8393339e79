"""BART's five noises (arXiv 1910.13461 §2.2), one by one or together.

BART itself permutes sentences and infills 30% of the tokens (λ = 3); mBART (arXiv 2001.08210 §2.2)
does the same with 35% of the words and λ = 3.5. Special tokens are never masked, deleted or
infilled; those within a row move with their sentences.
Shape suffixes: T tokens of a row, W its words, S spans.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ...noise_options import DenoisingOptions
from ...registry import Registry
from .vocabulary import BoolArray, IndexArray, NoiseVocabulary, RowIds

Noise: TypeAlias = Callable[
    [IndexArray, np.random.Generator, NoiseVocabulary, DenoisingOptions], IndexArray
]


def denoise(
    ids_T: RowIds, rng: np.random.Generator, vocabulary: NoiseVocabulary, options: DenoisingOptions
) -> IndexArray:
    """Return a row with all its noises: the input from which the row is to be written."""
    noisy = ids_T.astype(np.int64)
    for name, noise in NOISES.items():
        if name in options.noises:
            noisy = noise(noisy, rng, vocabulary, options)
    return noisy


def permute_sentences(
    ids_T: IndexArray, starts: IndexArray, rng: np.random.Generator, share: float = 1.0
) -> IndexArray:
    """Return a row whose sentences, or a share of them drawn anew, have changed places at random.

    `starts` has the index of the first token of each sentence. A share is rounded up.
    """
    sentences = np.split(ids_T, starts[1:])
    chosen = rng.permutation(len(sentences))[: count_share(len(sentences), share)]
    order = np.arange(len(sentences))
    order[chosen] = rng.permutation(chosen)
    return np.concatenate([sentences[index] for index in order.tolist()])


def sentence_starts(ids_T: RowIds, ends_sentence_V: BoolArray) -> IndexArray:
    """Return the indices of the first tokens of sentences, each of which ends after its full stops.

    >>> sentence_starts(np.array([2, 1, 1, 0, 2, 1]), np.array([False, True, False])).tolist()
    [0, 3]
    """
    ends_T = ends_sentence_V[ids_T]
    return np.flatnonzero(np.concatenate([[True], ends_T[:-1] & ~ends_T[1:]])[: len(ids_T)])


def count_share(number: int, share: float) -> int:
    """Return a share of a number, rounded up, as fairseq's BART does.

    >>> count_share(10, 0.3), count_share(100, 0.07), count_share(1, 0.3), count_share(5, 0)
    (3, 7, 1, 0)
    """
    return math.ceil(number * share - 1e-9)  # 100 · 0.07 is a little above 7


def _permute_sentences(
    ids_T: IndexArray,
    rng: np.random.Generator,
    vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> IndexArray:
    """Permute the sentences as the vocabulary's full stops end them."""
    if vocabulary.ends_sentence_V is None or not len(ids_T):
        return ids_T
    starts = sentence_starts(ids_T, vocabulary.ends_sentence_V)
    return permute_sentences(ids_T, starts, rng, options.sentence_share)


def _mask_tokens(
    ids_T: IndexArray,
    rng: np.random.Generator,
    vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> IndexArray:
    """Replace each token of a share of the words by the mask."""
    chosen_T = _choose_words(ids_T, rng, vocabulary, options)
    return _replaced(ids_T, chosen_T, rng, vocabulary, options)


def _delete_tokens(
    ids_T: IndexArray,
    rng: np.random.Generator,
    vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> IndexArray:
    """Take a share of the words away; nothing tells where they were."""
    return ids_T[~_choose_words(ids_T, rng, vocabulary, options)]


def _infill_text(
    ids_T: IndexArray,
    rng: np.random.Generator,
    vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> IndexArray:
    """Replace spans of a share of the words by one mask each, and insert one for each empty span.

    Spans and the words that are kept stand in random order, all orders equally likely, so spans
    never overlap and the share is exact. (fairseq draws where spans begin and lets them overlap.)
    A special token ends a span: what follows it has a mask of its own.
    """
    starts_T = vocabulary.word_starts(ids_T, whole_words=options.whole_words)
    words = int(starts_T.sum())
    budget = count_share(words, options.share)
    lengths_S = draw_span_lengths(budget, options.mean_span, rng)
    if not len(lengths_S):
        return ids_T
    lengths, is_span = scatter_spans(lengths_S, words - budget, rng)
    span_W = np.repeat(np.where(is_span, np.arange(len(lengths)), -1), lengths)
    ordinary_T = vocabulary.is_ordinary(ids_T)
    span_T = np.full(len(ids_T), -1)
    span_T[ordinary_T] = span_W[np.cumsum(starts_T)[ordinary_T] - 1]
    first_T = span_T >= 0
    first_T[1:] &= span_T[1:] != span_T[:-1]
    noisy_T = _replaced(ids_T, first_T, rng, vocabulary, options)
    kept_T = first_T | (span_T < 0)
    empty_before_W = (np.cumsum(lengths) - lengths)[is_span & (lengths == 0)]
    places_W = np.append(np.flatnonzero(starts_T), np.flatnonzero(ordinary_T)[-1] + 1)
    kept_before = np.concatenate([[0], np.cumsum(kept_T)])
    places = kept_before[places_W[empty_before_W]]
    return np.insert(noisy_T[kept_T], places, _fillers(len(places), rng, vocabulary, options))


def _rotate_document(
    ids_T: IndexArray,
    rng: np.random.Generator,
    _vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> IndexArray:
    """Let a row begin with one of its tokens, all equally likely, and end with those before it."""
    if not len(ids_T) or rng.random() >= options.rotated:
        return ids_T
    return np.roll(ids_T, -rng.integers(len(ids_T)))


def draw_span_lengths(budget: int, mean: float, rng: np.random.Generator) -> IndexArray:
    """Return lengths of spans, from a Poisson distribution, that add up to a budget.

    They are drawn until they reach it; the last is cut to fit. Some are 0.
    """
    lengths = np.empty(0, dtype=np.int64)
    while lengths.sum() < budget:
        lengths = np.append(lengths, rng.poisson(mean, 1 + budget))
    totals = np.cumsum(lengths)
    last = int(np.searchsorted(totals, budget))
    lengths = lengths[: last + 1]
    lengths[-1:] -= totals[last : last + 1] - budget
    return lengths


def scatter_spans(
    lengths_S: IndexArray, kept_words: int, rng: np.random.Generator
) -> tuple[IndexArray, BoolArray]:
    """Return the lengths of spans and kept words in random order, and which of them are spans."""
    items = kept_words + len(lengths_S)
    places_S = rng.choice(items, len(lengths_S), replace=False)  # in random order, as one is cut
    lengths, is_span = np.ones(items, dtype=np.int64), np.zeros(items, dtype=np.bool_)
    lengths[places_S], is_span[places_S] = lengths_S, True
    return lengths, is_span


def _choose_words(
    ids_T: IndexArray,
    rng: np.random.Generator,
    vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> BoolArray:
    """Return the mask of all tokens of a share of the words."""
    starts_T = vocabulary.word_starts(ids_T, whole_words=options.whole_words)
    words = int(starts_T.sum())
    chosen_W = np.zeros(words, dtype=np.bool_)
    chosen_W[rng.choice(words, count_share(words, options.share), replace=False)] = True
    chosen_T = vocabulary.is_ordinary(ids_T)
    chosen_T[chosen_T] = chosen_W[np.cumsum(starts_T)[chosen_T] - 1]
    return chosen_T


def _replaced(
    ids_T: IndexArray,
    chosen_T: BoolArray,
    rng: np.random.Generator,
    vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> IndexArray:
    """Return a row whose chosen tokens are masks, or random tokens."""
    noisy_T = ids_T.copy()
    noisy_T[chosen_T] = _fillers(int(chosen_T.sum()), rng, vocabulary, options)
    return noisy_T


def _fillers(
    count: int,
    rng: np.random.Generator,
    vocabulary: NoiseVocabulary,
    options: DenoisingOptions,
) -> IndexArray:
    """Return masks, a share of them random tokens instead."""
    fillers = np.full(count, vocabulary.require_mask())
    if options.random:
        random = rng.random(count) < options.random
        fillers[random] = rng.choice(vocabulary.ordinary_ids, random.sum())
    return fillers


NOISES: Registry[Noise] = Registry(
    "noise",
    {
        "sentence_permutation": _permute_sentences,
        "token_masking": _mask_tokens,
        "token_deletion": _delete_tokens,
        "text_infilling": _infill_text,
        "document_rotation": _rotate_document,
    },
)
