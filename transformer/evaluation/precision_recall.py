"""Precision, recall and F1 for each label and on average, from counts."""

from collections.abc import Mapping
from typing import NamedTuple


class LabelCounts(NamedTuple):
    """The numbers of cases of a label: right ones, all that were predicted, all that there are."""

    correct: int
    predicted: int
    support: int


class PrecisionRecall(NamedTuple):
    """Precision, recall and F1, and the number of cases in the references.

    Where nothing was predicted, precision is 0; where nothing was to be, recall; where neither, F1:
    scikit-learn's and seqeval's default, which they warn of.
    """

    precision: float
    recall: float
    f1: float
    support: int

    @classmethod
    def of(cls, counts: LabelCounts) -> "PrecisionRecall":
        """Return the scores of counts."""
        correct, predicted, support = counts
        return cls(
            correct / max(1, predicted),
            correct / max(1, support),
            2 * correct / max(1, predicted + support),
            support,
        )


class AveragedScores(NamedTuple):
    """The scores of each label, and their averages.

    `micro` is of all cases together, `macro` the mean over labels, `weighted` that mean weighted by
    support. Without a label, or without support, they are 0.
    """

    labels: dict[str, PrecisionRecall]
    micro: PrecisionRecall
    macro: PrecisionRecall
    weighted: PrecisionRecall
    unpredicted: tuple[str, ...]  # labels of the references that nothing was predicted to be

    @property
    def averages(self) -> dict[str, PrecisionRecall]:
        """The averages by name."""
        return {"micro": self.micro, "macro": self.macro, "weighted": self.weighted}

    @classmethod
    def of(cls, counts: Mapping[str, LabelCounts]) -> "AveragedScores":
        """Return the scores of each label's counts."""
        labels = {name: PrecisionRecall.of(each) for name, each in counts.items()}
        total = LabelCounts(*(sum(each[n] for each in counts.values()) for n in range(3)))
        return cls(
            labels,
            PrecisionRecall.of(total),
            _mean(labels, dict.fromkeys(labels, 1), total.support),
            _mean(labels, {name: each.support for name, each in counts.items()}, total.support),
            tuple(name for name, each in counts.items() if each.support and not each.predicted),
        )


def _mean(
    labels: Mapping[str, PrecisionRecall], weights: Mapping[str, int], support: int
) -> PrecisionRecall:
    total = max(1, sum(weights.values()))
    weighted = [(weights[name] / total, each) for name, each in labels.items()]
    return PrecisionRecall(
        sum(weight * each.precision for weight, each in weighted),
        sum(weight * each.recall for weight, each in weighted),
        sum(weight * each.f1 for weight, each in weighted),
        support,
    )


def rounded(values: PrecisionRecall) -> str:
    """Return precision and recall in per cent, as the details of an F1 have them."""
    return f"precision {100 * values.precision:.2f}, recall {100 * values.recall:.2f}"
