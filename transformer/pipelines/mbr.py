"""The text on which samples agree most: minimum Bayes risk under chrF.

Eikema and Aziz, arXiv 2005.10283; chrF by Popović, WMT 2015. Shape suffixes: U different texts,
G n-grams of one size.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_SIZES = range(1, 7)  # of n-grams; characters without white space, as sacreBLEU has it
_BETA = 2  # how much more recall weighs
_BLOCK = 4096  # n-grams that are compared at once

Floats = NDArray[np.float64]


def rank_by_mbr(texts: Sequence[str], log_probs: Sequence[float] | None = None) -> list[int]:
    """The places of all texts, best first: by the mean chrF of each against all others as
    references. Equal ones, such as duplicates, are ordered by log-probability, then by place.

    Duplicates count as often as they are there: they are what the model thinks likely.
    """
    utilities = mean_utilities(texts)
    log_probs = [0.0] * len(texts) if log_probs is None else log_probs
    if len(log_probs) != len(texts):
        raise ValueError(f"{len(log_probs)} log-probabilities for {len(texts)} texts")
    return sorted(range(len(texts)), key=lambda n: (-utilities[n], -log_probs[n], n))


def mean_utilities(texts: Sequence[str]) -> list[float]:
    """The mean chrF of each text against all others, 0 … 100; 0 of one that is alone."""
    if len(texts) < 2:
        return [0.0] * len(texts)
    times = Counter(texts)
    different = list(times)
    times_U = np.array([times[text] for text in different], dtype=np.float64)
    scores_UU = pairwise_chrf(different)
    means_U = (scores_UU @ times_U - scores_UU.diagonal()) / (len(texts) - 1)
    means = dict(zip(different, means_U.tolist(), strict=True))
    return [means[text] for text in texts]


def pairwise_chrf(texts: Sequence[str]) -> Floats:
    """chrF (U, U) of each text (row) against each as its reference (column), 0 … 100.

    The means over sizes of precision and recall, `F_β = (1+β²)·P·R / (β²·P + R)`; sizes of which
    either text has no n-gram are left out: sacreBLEU's `sentence_score`, with n-grams counted once
    a text instead of once a pair.
    """
    shape = (len(texts), len(texts))
    precision_UU, recall_UU, sizes_UU = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    bare = ["".join(text.split()) for text in texts]
    for size in _SIZES:
        totals_U = np.array([max(0, len(text) - size + 1) for text in bare], dtype=np.float64)
        there_U = totals_U > 0
        both_UU = there_U[:, None] & there_U[None, :]
        shared_UU = both_UU * _shared(bare, size)
        totals_U[~there_U] = 1
        precision_UU += shared_UU / totals_U[:, None]
        recall_UU += shared_UU / totals_U[None, :]
        sizes_UU += both_UU
    sizes_UU[sizes_UU == 0] = 1
    precision_UU /= sizes_UU
    recall_UU /= sizes_UU
    below_UU = _BETA**2 * precision_UU + recall_UU
    above_UU = (1 + _BETA**2) * precision_UU * recall_UU
    return 100 * above_UU / np.where(below_UU == 0, 1, below_UU)


def _shared(texts: Sequence[str], size: int) -> Floats:
    """How many n-grams each two texts have in common, (U, U)."""
    shared_UU = np.zeros((len(texts), len(texts)))
    for counts_GU in _counts(texts, size):
        counts_UG = np.ascontiguousarray(counts_GU.T)
        for row, counts_G in enumerate(counts_UG):
            shared_UU[row] += np.minimum(counts_G, counts_UG).sum(axis=1)
    return shared_UU


def _counts(texts: Sequence[str], size: int) -> Iterator[NDArray[np.int32]]:
    """How often each text has each n-gram, (G, U), in blocks of n-grams."""
    places: dict[str, int] = {}
    found: list[tuple[int, int, int]] = []
    for number, text in enumerate(texts):
        grams = Counter(text[start : start + size] for start in range(len(text) - size + 1))
        for gram, count in grams.items():
            found.append((places.setdefault(gram, len(places)), number, count))
    gram_N, text_N, count_N = np.array(sorted(found), dtype=np.int64).reshape(-1, 3).T
    for first in range(0, len(places), _BLOCK):
        start, end = np.searchsorted(gram_N, [first, first + _BLOCK])
        counts_GU = np.zeros((min(_BLOCK, len(places) - first), len(texts)), dtype=np.int32)
        counts_GU[gram_N[start:end] - first, text_N[start:end]] = count_N[start:end]
        yield counts_GU
