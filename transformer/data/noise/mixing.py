"""Several corpora mixed, by their sizes with a temperature or by weights.

arXiv 1907.05019 §4.2: the share of corpus i is proportional to n_i^(1/T). T = 1 keeps the natural
shares, T = 5 is the paper's, and in the limit all corpora are equal.
"""

import math
from collections.abc import Sequence

import numpy as np

from ...errors import ConfigError
from .vocabulary import IndexArray

_COUNTS, _ORDER = 1, 2  # the last keys of the generators


def mixing_shares(sizes: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Return the shares of corpora with these sizes, or weights, which add up to 1.

    >>> mixing_shares([900, 300]), mixing_shares([900, 100], 2)
    ([0.75, 0.25], [0.75, 0.25])
    """
    if not all(0 <= size < math.inf for size in sizes) or not any(sizes):
        listing = ", ".join(f"{size:,.16g}" for size in sizes)
        raise ConfigError(f"sizes of corpora are {listing}; they must be numbers above 0")
    if not 0 < temperature < math.inf:
        raise ConfigError(f"temperature is {temperature}; it must be a number above 0")
    largest = max(sizes)  # so that no power is too large
    powers = [(size / largest) ** (1 / temperature) if size else 0.0 for size in sizes]
    return [power / sum(powers) for power in powers]


def mixing_counts(shares: Sequence[float], draws: int, *, seed: int, epoch: int) -> IndexArray:
    """Return the number of an epoch's draws that each corpus has.

    That is its share of the draws, rounded up or down at random so that it is exact on average
    over epochs (systematic sampling), and exact in each where it is a whole number.
    """
    borders = np.cumsum([0.0, *shares]) * draws
    # a share that is a whole number but for rounding is one
    nearest = np.round(borders)
    borders = np.where(np.abs(borders - nearest) < 1e-6, nearest, borders)
    offset = np.random.default_rng([seed, epoch, _COUNTS]).random()
    ends: IndexArray = np.floor(borders + offset).astype(np.int64)
    counts: IndexArray = ends[1:] - ends[:-1]
    return counts


def mixing_order(shares: Sequence[float], draws: int, *, seed: int, epoch: int) -> IndexArray:
    """Return the index of the corpus for each draw of an epoch, in random order."""
    counts = mixing_counts(shares, draws, seed=seed, epoch=epoch)
    drawn = np.repeat(np.arange(len(shares)), counts)
    return np.random.default_rng([seed, epoch, _ORDER]).permutation(drawn)
