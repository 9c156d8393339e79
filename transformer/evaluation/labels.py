"""Scores of a head over labels, by the kind of its labels.

Shape suffixes: N texts, L labels.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..finite import require_finite
from ..heads import LABEL_KINDS
from ..inputs import Batch
from ..model import Transformer
from ..registry import Registry
from .classification import (
    CalibrationBin,
    Integers,
    calibration_bins,
    calibration_score,
    classification_report,
    multilabel_report,
)
from .precision_recall import PrecisionRecall
from .regression import regression_report
from .score import Score

Array = npt.NDArray[Any]
THRESHOLD = 0.5  # the probability from which on a text has a label, of several


@torch.no_grad()
def label_outputs(model: Transformer, batches: Iterable[Batch]) -> tuple[Array, Array]:
    """Return the probabilities or numbers (N, L) of the texts of batches, and their targets."""
    answers = LABEL_KINDS[model.config.label_kind].answers
    outputs, targets = [], []
    for batch in batches:
        outputs_BL = model(batch.to(model.device).inputs).float()
        outputs.append(answers(require_finite(outputs_BL)).cpu().numpy())
        targets.append(batch.targets.numpy())
    if not outputs:
        return np.empty((0, model.config.labels)), np.empty(0)
    return np.concatenate(outputs), np.concatenate(targets)


class LabelReport(NamedTuple):
    """All scores of a head's outputs.

    `labels` has the scores of each label, of those that `classification_report` or
    `multilabel_report` counts; none of numbers. `bins` and `confusion` are of texts that have one
    label each.
    """

    scores: dict[str, Score]
    labels: dict[str, PrecisionRecall] = {}  # noqa: RUF012 (nobody writes to it)
    bins: Sequence[CalibrationBin] = ()
    confusion_LL: Integers | None = None  # rows are the references' labels
    names: Sequence[str] = ()  # of all labels


def _single(outputs_NL: Array, targets_N: Array, names: Sequence[str]) -> LabelReport:
    targets = targets_N.tolist()
    found = classification_report(targets, outputs_NL.argmax(axis=1).tolist(), names)
    error = calibration_score(outputs_NL, targets)
    return LabelReport(
        {**found.by_name(), error.name: error},
        found.scores.labels,
        calibration_bins(outputs_NL, targets),
        found.confusion_LL,
        names,
    )


def _multi(outputs_NL: Array, targets_NL: Array, names: Sequence[str]) -> LabelReport:
    lacking = targets_NL.shape[1] - outputs_NL.shape[1]
    given_NL = np.pad(outputs_NL >= THRESHOLD, ((0, 0), (0, lacking)))
    found = multilabel_report(targets_NL > 0, given_NL, names)
    return LabelReport(found.by_name(), found.scores.labels, names=names)


def _number(outputs_N1: Array, targets_N1: Array, names: Sequence[str]) -> LabelReport:
    del names
    found = regression_report(targets_N1[:, 0].tolist(), outputs_N1[:, 0].tolist())
    return LabelReport(found.by_name())


LABEL_REPORTS: Registry[Callable[[Array, Array, Sequence[str]], LabelReport]] = Registry(
    "kind of labels", {"single": _single, "multi": _multi, "number": _number}
)


def label_report(kind: str, outputs_NL: Array, targets: Array, names: Sequence[str]) -> LabelReport:
    """Return what is measured of a head's outputs, for targets as `LabelledData` has them.

    Labels after the L of the outputs are those that the head cannot give. Raises CorpusError
    without texts.
    """
    return LABEL_REPORTS[kind](outputs_NL, targets, names)


def label_scores(
    kind: str, outputs_NL: Array, targets: Array, names: Sequence[str]
) -> dict[str, Score]:
    """Return the scores of `label_report` by name. Raises CorpusError without texts."""
    return label_report(kind, outputs_NL, targets, names).scores
