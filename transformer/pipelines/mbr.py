"""Minimum Bayes risk (MBR) decoding: samples ranked by their mean chrF against one another.

Eikema and Aziz, arXiv 2005.10283; chrF by Popović, WMT 2015. Shape suffixes: U unique texts,
G n-grams of one size.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_NGRAM_SIZES = range(1, 7)  # in characters other than white space, as in sacreBLEU
_BETA = 2  # the weight of recall relative to precision
_NGRAM_BLOCK = 4096  # n-grams in memory at once

Floats = NDArray[np.float64]


def rank_by_mbr(texts: Sequence[str], log_probs: Sequence[float] | None = None) -> list[int]:
    """Rank texts by their mean chrF against all others as references; return indices, best first.

    Ties, such as duplicates, are ordered by log-probability, then by index. Duplicates count as
    often as they occur, for they are likely under the model.
    """
    utilities = mean_utilities(texts)
    log_probs = [0.0] * len(texts) if log_probs is None else log_probs
    if len(log_probs) != len(texts):
        raise ValueError(f"{len(log_probs)} log-probabilities for {len(texts)} texts")
    return sorted(range(len(texts)), key=lambda n: (-utilities[n], -log_probs[n], n))


def mean_utilities(texts: Sequence[str]) -> list[float]:
    """Compute the mean chrF (0 … 100) of each text against all others; 0 for a single text."""
    if len(texts) < 2:
        return [0.0] * len(texts)
    counts = Counter(texts)
    unique = list(counts)
    counts_U = np.array([counts[text] for text in unique], dtype=np.float64)
    scores_UU = pairwise_chrf(unique)
    means_U = (scores_UU @ counts_U - scores_UU.diagonal()) / (len(texts) - 1)
    means = dict(zip(unique, means_U.tolist(), strict=True))
    return [means[text] for text in texts]


def pairwise_chrf(texts: Sequence[str]) -> Floats:
    """Compute chrF (U, U) of each text (row) against each as its reference (column), 0 … 100.

    `F_β = (1+β²)·P·R / (β²·P + R)`, with the means P and R of precision and recall over the sizes
    of which both texts have n-grams: sacreBLEU's `sentence_score`, but n-grams are counted once for
    each text instead of once for each pair.
    """
    shape = (len(texts), len(texts))
    precision_UU, recall_UU, sizes_UU = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    compact = ["".join(text.split()) for text in texts]
    for size in _NGRAM_SIZES:
        totals_U = np.array([max(0, len(text) - size + 1) for text in compact], dtype=np.float64)
        has_ngrams_U = totals_U > 0
        counted_UU = has_ngrams_U[:, None] & has_ngrams_U[None, :]
        shared_UU = counted_UU * _shared_ngrams(compact, size)
        totals_U[~has_ngrams_U] = 1
        precision_UU += shared_UU / totals_U[:, None]
        recall_UU += shared_UU / totals_U[None, :]
        sizes_UU += counted_UU
    sizes_UU[sizes_UU == 0] = 1
    precision_UU /= sizes_UU
    recall_UU /= sizes_UU
    denominator_UU = _BETA**2 * precision_UU + recall_UU
    numerator_UU = (1 + _BETA**2) * precision_UU * recall_UU
    return 100 * numerator_UU / np.where(denominator_UU == 0, 1, denominator_UU)


def _shared_ngrams(texts: Sequence[str], size: int) -> Floats:
    """Count the n-grams (U, U) that each two texts have in common."""
    shared_UU = np.zeros((len(texts), len(texts)))
    for counts_GU in _ngram_counts(texts, size):
        counts_UG = np.ascontiguousarray(counts_GU.T)
        for row, counts_G in enumerate(counts_UG):
            shared_UU[row] += np.minimum(counts_G, counts_UG).sum(axis=1)
    return shared_UU


def _ngram_counts(texts: Sequence[str], size: int) -> Iterator[NDArray[np.int32]]:
    """Count each n-gram in each text; yield the counts (G, U) in blocks of n-grams."""
    ngram_indices: dict[str, int] = {}
    entries: list[tuple[int, int, int]] = []
    for index, text in enumerate(texts):
        ngrams = Counter(text[start : start + size] for start in range(len(text) - size + 1))
        for ngram, count in ngrams.items():
            entries.append((ngram_indices.setdefault(ngram, len(ngram_indices)), index, count))
    ngram_N, text_N, count_N = np.array(sorted(entries), dtype=np.int64).reshape(-1, 3).T
    for first in range(0, len(ngram_indices), _NGRAM_BLOCK):
        start, end = np.searchsorted(ngram_N, [first, first + _NGRAM_BLOCK])
        rows = min(_NGRAM_BLOCK, len(ngram_indices) - first)
        counts_GU = np.zeros((rows, len(texts)), dtype=np.int32)
        counts_GU[ngram_N[start:end] - first, text_N[start:end]] = count_N[start:end]
        yield counts_GU
