"""Labels of texts by a classification head.

Shape suffixes: B texts, L labels.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from ..evaluation.labels import THRESHOLD
from ..heads import LABEL_KINDS
from ..registry import Registry


class LabelScore(NamedTuple):
    """A label and its probability, or a number with an empty name."""

    label: str
    score: float


def _best(scores: list[LabelScore]) -> str:
    return max(scores, key=lambda each: each.score).label


def _all_likely(scores: list[LabelScore]) -> str:
    return ", ".join(each.label for each in scores if each.score >= THRESHOLD)


# The text of what a model says, by the kind of its labels.
ANSWER_TEXTS: Registry[Callable[[list[LabelScore]], str]] = Registry(
    "kind of labels",
    {
        "single": _best,
        "multi": _all_likely,
        "number": lambda scores: f"{scores[0].score:.4f}",
    },
)


def predicted_text(kind: str, outputs_L: Tensor, names: Sequence[str]) -> str:
    """Return what a head's outputs for a text say, in a word or a few."""
    answers_L = LABEL_KINDS[kind].answers(outputs_L.float()).tolist()
    return ANSWER_TEXTS[kind]([LabelScore(*each) for each in zip(names, answers_L, strict=True)])
