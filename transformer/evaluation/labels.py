"""Scores of a head over labels, by the kind of its labels.

Shape suffixes: N texts, L labels.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..finite import require_finite
from ..heads import LABEL_KINDS
from ..inputs import Batch
from ..model import Transformer
from ..registry import Registry
from .classification import classification_report, multilabel_report
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


def _single(outputs_NL: Array, targets_N: Array, names: Sequence[str]) -> dict[str, Score]:
    predictions = outputs_NL.argmax(axis=1).tolist()
    return classification_report(targets_N.tolist(), predictions, names).by_name()


def _multi(outputs_NL: Array, targets_NL: Array, names: Sequence[str]) -> dict[str, Score]:
    return multilabel_report(targets_NL > 0, outputs_NL >= THRESHOLD, names).by_name()


def _number(outputs_N1: Array, targets_N1: Array, names: Sequence[str]) -> dict[str, Score]:
    del names
    return regression_report(targets_N1[:, 0].tolist(), outputs_N1[:, 0].tolist()).by_name()


LABEL_SCORES: Registry[Callable[[Array, Array, Sequence[str]], dict[str, Score]]] = Registry(
    "kind of labels", {"single": _single, "multi": _multi, "number": _number}
)


def label_scores(
    kind: str, outputs_NL: Array, targets: Array, names: Sequence[str]
) -> dict[str, Score]:
    """Return the scores of a head's outputs by name, for targets as `LabelledData` has them.

    Raises CorpusError without texts.
    """
    return LABEL_SCORES[kind](outputs_NL, targets, names)
