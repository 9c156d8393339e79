"""Scores of numbers: Pearson's and Spearman's correlation, and the mean squared error."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from .score import Score

Numbers = npt.NDArray[np.float64]


class RegressionReport(NamedTuple):
    """The scores of numbers that texts have.

    Correlations are 0 where a side is constant, for which they are not defined: scipy warns, and
    gives nan.
    """

    pearson: float
    spearman: float
    mean_squared_error: float
    texts: int
    constant: bool  # True if a side is constant

    def by_name(self) -> dict[str, Score]:
        """Return the correlations in per cent, and the mean squared error, by name."""
        texts = format_count(self.texts, "text")
        details = f"{texts}; undefined, for a side is constant" if self.constant else texts
        scores = [
            Score("pearson", 100 * self.pearson, "undefined:0", details),
            Score("spearman", 100 * self.spearman, "ties:average|undefined:0", details),
            Score("mean_squared_error", self.mean_squared_error, f"texts:{self.texts}", texts),
        ]
        return {score.name: score._replace(informative=not self.constant) for score in scores}


def regression_report(
    references: Sequence[float], predictions: Sequence[float]
) -> RegressionReport:
    """Return the scores of predicted numbers. Raises CorpusError without texts."""
    if len(references) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references")
    if not len(references):
        raise CorpusError("no numbers to compare: there is not a text")
    truth_N, given_N = (np.asarray(each, np.float64) for each in (references, predictions))
    return RegressionReport(
        pearson=_correlation(truth_N, given_N),
        spearman=_correlation(average_ranks(truth_N), average_ranks(given_N)),
        mean_squared_error=float(np.square(truth_N - given_N).mean()),
        texts=len(truth_N),
        constant=any(bool((each == each[0]).all()) for each in (truth_N, given_N)),
    )


def _correlation(one_N: Numbers, other_N: Numbers) -> float:
    if any((each == each[0]).all() for each in (one_N, other_N)):
        return 0.0
    centred = [each - each.mean() for each in (one_N, other_N)]
    # Each by its largest first, so that squares of huge or tiny numbers stay finite and above 0.
    one_N, other_N = (each / np.abs(each).max() for each in centred)
    norms = np.linalg.norm(one_N) * np.linalg.norm(other_N)
    return float(np.clip(one_N @ other_N / norms, -1, 1))


def average_ranks(values: npt.ArrayLike) -> Numbers:
    """Return the rank of each number from 1; equal ones share the mean of theirs.

    >>> average_ranks([10, 30, 20, 30]).tolist()
    [1.0, 3.5, 2.0, 3.5]
    """
    _, groups_N, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Numbers = (last - (counts - 1) / 2)[groups_N]
    return ranks
