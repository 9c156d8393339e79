"""Scores of labels: accuracy, F1, Matthews correlation, calibration; several labels of a text.

N texts, L labels, M bins. A label is an index; several of a text are a row of zeros and ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from ..labels import first_words
from .precision_recall import AveragedScores, LabelCounts, rounded
from .score import Score

Integers = npt.NDArray[np.int64]
CALIBRATION_BINS = 15  # arXiv 1706.04599
_ZERO = "undefined:0"


class CalibrationBin(NamedTuple):
    """The predictions of about one confidence."""

    confidence: float  # the mean of them
    accuracy: float
    texts: int


class ClassificationReport(NamedTuple):
    """The scores of texts that have one label each.

    `scores` is of the labels that a text has or was given, as in scikit-learn: a label that the
    model knows and this text lacks does not lower the macro average.
    """

    confusion_LL: Integers  # rows are the references' labels, columns the predictions'
    scores: AveragedScores

    @property
    def accuracy(self) -> float:
        """The fraction of texts with their own label."""
        return float(self.confusion_LL.trace() / self.confusion_LL.sum())

    @property
    def matthews_correlation(self) -> float:
        """Matthews' correlation, for several labels Gorodkin's R_K; 0 where a side is constant."""
        confusion_LL = self.confusion_LL.astype(np.float64)
        texts, right = confusion_LL.sum(), confusion_LL.trace()
        support_L, predicted_L = confusion_LL.sum(1), confusion_LL.sum(0)
        covariance = right * texts - support_L @ predicted_L
        variances = [texts**2 - each_L @ each_L for each_L in (support_L, predicted_L)]
        return float(covariance / np.sqrt(np.prod(variances))) if all(variances) else 0.0

    def by_name(self) -> dict[str, Score]:
        """Return accuracy, F1 and Matthews' correlation, by name."""
        texts = int(self.confusion_LL.sum())
        informative = np.count_nonzero(self.confusion_LL.sum(0)) > 1
        details = f"{self.confusion_LL.trace():,} of {format_count(texts, 'text')}"
        scores = [
            Score("accuracy", 100 * self.accuracy, f"texts:{texts}", details),
            *f1_scores(self.scores, "observed"),
            Score("matthews", 100 * self.matthews_correlation, f"texts:{texts}|{_ZERO}", ""),
        ]
        return {score.name: score._replace(informative=bool(informative)) for score in scores}


class MultiLabelReport(NamedTuple):
    """The scores of texts that have any number of labels.

    `scores` is of all labels, of `samples_f1` the mean over texts.
    """

    scores: AveragedScores
    samples_f1: float  # of a text without labels that was given none, 0
    subset_accuracy: float  # the fraction of texts with exactly their own labels
    texts: int
    constant: bool  # True if all texts were given the same labels

    def by_name(self) -> dict[str, Score]:
        """Return subset accuracy and F1, by name."""
        right = f"{round(self.subset_accuracy * self.texts):,}"
        details = f"{right} of {format_count(self.texts, 'text')}, all labels right"
        scores = [
            Score("accuracy", 100 * self.subset_accuracy, f"texts:{self.texts}|subset", details),
            *f1_scores(self.scores, "all"),
            Score("f1_samples", 100 * self.samples_f1, f"average:samples|labels:all|{_ZERO}", ""),
        ]
        return {score.name: score._replace(informative=not self.constant) for score in scores}


def classification_report(
    references: Sequence[int], predictions: Sequence[int], labels: Sequence[str]
) -> ClassificationReport:
    """Return the scores of predicted labels; `labels` are the names of all.

    Raises CorpusError without texts.
    """
    confusion_LL = confusion_matrix(references, predictions, len(labels))
    support_L, predicted_L = confusion_LL.sum(1), confusion_LL.sum(0)
    counts = {
        labels[n]: LabelCounts(*map(int, (confusion_LL[n, n], predicted_L[n], support_L[n])))
        for n in np.flatnonzero(support_L + predicted_L).tolist()
    }
    return ClassificationReport(confusion_LL, AveragedScores.of(counts))


def confusion_matrix(
    references: Sequence[int], predictions: Sequence[int], num_labels: int
) -> Integers:
    """Return the numbers of texts by label (rows) and prediction (columns).

    Raises CorpusError without texts.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    _check_lengths(len(references), len(predictions))
    pairs_N = np.asarray(references, np.int64) * num_labels + np.asarray(predictions, np.int64)
    return np.bincount(pairs_N, minlength=num_labels**2).reshape(num_labels, num_labels)


def multilabel_report(
    references_NL: npt.ArrayLike, predictions_NL: npt.ArrayLike, labels: Sequence[str]
) -> MultiLabelReport:
    """Return the scores of rows that are true for a text's labels; `labels` are their names.

    Raises CorpusError without texts.
    """
    truth_NL, given_NL = (np.asarray(each, bool) for each in (references_NL, predictions_NL))
    _check_lengths(len(truth_NL), len(given_NL))
    both_NL = truth_NL & given_NL
    sums = np.stack([each.sum(0) for each in (both_NL, given_NL, truth_NL)], axis=1).tolist()
    counts = {name: LabelCounts(*each) for name, each in zip(labels, sums, strict=True)}
    sizes_N = np.maximum(1, given_NL.sum(1) + truth_NL.sum(1))
    return MultiLabelReport(
        AveragedScores.of(counts),
        samples_f1=float((2 * both_NL.sum(1) / sizes_N).mean()),
        subset_accuracy=float((truth_NL == given_NL).all(1).mean()),
        texts=len(truth_NL),
        constant=bool((given_NL == given_NL[0]).all()),
    )


def calibration_bins(
    probabilities_NL: npt.ArrayLike, references: Sequence[int], *, bins: int = CALIBRATION_BINS
) -> list[CalibrationBin]:
    """Return the predictions by their confidence, the largest probability, without empty bins.

    Of M bins the m-th has the confidences above (m - 1) / M and up to m / M. Raises CorpusError
    without texts.
    """
    probs_NL = np.asarray(probabilities_NL, np.float64)
    _check_lengths(len(references), len(probs_NL))
    confidences_N = probs_NL.max(1)
    is_right_N = probs_NL.argmax(1) == np.asarray(references)
    edges_M = np.linspace(0, 1, bins + 1)[1:-1]
    bins_N = np.searchsorted(edges_M, confidences_N, side="left")
    return [
        CalibrationBin(
            float(confidences_N[in_bin_N].mean()),
            float(is_right_N[in_bin_N].mean()),
            int(in_bin_N.sum()),
        )
        for in_bin_N in (bins_N == n for n in range(bins))
        if in_bin_N.any()
    ]


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the mean distance of accuracy from confidence, weighted by the bins' numbers of texts.

    arXiv 1706.04599, equation 3.

    >>> expected_calibration_error([CalibrationBin(0.9, 1.0, 3), CalibrationBin(0.6, 0.2, 1)])
    0.175
    """
    total = sum(each.texts for each in bins)
    return sum(abs(each.accuracy - each.confidence) * each.texts for each in bins) / total


def calibration_score(
    probabilities_NL: npt.ArrayLike, references: Sequence[int], *, bins: int = CALIBRATION_BINS
) -> Score:
    """Return the expected calibration error in per cent, of which less is better."""
    found = calibration_bins(probabilities_NL, references, bins=bins)
    confidence, accuracy = (
        100 * sum(each[n] * each.texts for each in found) / len(references) for n in (0, 1)
    )
    details = f"mean confidence {confidence:.2f}, accuracy {accuracy:.2f}"
    value = 100 * expected_calibration_error(found)
    return Score("calibration_error", value, f"bins:{bins}|confidence:largest", details)


def f1_scores(found: AveragedScores, labels: str) -> list[Score]:
    """Return micro, macro and weighted F1 over `observed` labels, or `all`."""
    missed = found.unpredicted
    remark = f"; never predicted: {first_words(missed)}" if missed else ""
    return [
        Score(
            f"f1_{name}",
            100 * each.f1,
            f"average:{name}|labels:{labels}|{_ZERO}",
            f"{rounded(each)}; {format_count(len(found.labels), 'label')}{remark}",
        )
        for name, each in found.averages.items()
    ]


def _check_lengths(references: int, predictions: int) -> None:
    if references != predictions:
        raise ValueError(f"{predictions} predictions for {references} references")
    if not references:
        raise CorpusError("no labels to compare: there is not a text")
