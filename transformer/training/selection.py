"""The choice of the best checkpoint: an order of validations, in which the largest is the best."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from ..evaluation import Score
from .defaults import METRIC_NAMES

LOSS = "loss"
# The metrics that decide instead of one that carries no information, or that the text has no score
# of, in turn; then the loss.
_SCORES: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in METRIC_NAMES},
    LOSS: (),
    "bleu": ("bleu", "chrf"),
    "accuracy": ("accuracy", "pearson"),
    "span_f1": ("span_f1", "accuracy"),
}
# The texts that have no score of a metric, by it and the one that decides on them.
_WITHOUT_SCORE = {
    ("accuracy", "pearson"): "numbers",
    ("span_f1", "accuracy"): "tags that mark no spans",
}
_SURE = {"bleu": 10.0, "chrf": 40.0}  # far above chance in any language
_NEVER = float("inf")  # a share of labels may be high by chance


class SelectionKey(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A validation's rank among others: its metric, the metric's value, then the lower loss.

    BLEU decides where it carries information (see Score), else chrF, else the loss. A validation
    whose better metric says something ranks above one where it does not, so the order is total:
    the best checkpoint depends on no order in time. Values equal to two decimals are a tie.
    """

    level: int  # larger: closer to the recipe's metric
    value: float  # 0 where the loss decides
    negative_loss: float


def describe_metric(metric: str, known: Collection[str]) -> str:
    """Return a metric by its name, with those of the `known` ones that decide on other texts.

    `known` are the metrics of an objective.
    """
    others = [
        f", or {_LABELS[name]} of {_WITHOUT_SCORE[metric, name]}"
        for name in _SCORES[metric]
        if name in known and (metric, name) in _WITHOUT_SCORE
    ]
    return "".join([metric, *others])


def selection_key(
    metric: str, loss: float, scores: Mapping[str, Score]
) -> tuple[str, SelectionKey]:
    """Return the metric that decides on a validation, and the validation's key."""
    names = _SCORES[metric]
    for index, name in enumerate(names):
        if name in scores and scores[name].informative:
            return name, SelectionKey(len(names) - index, round(scores[name].value, 2), -loss)
    return LOSS, SelectionKey(0, 0.0, -loss)


def logged_key(metric: str, record: Mapping[str, Any]) -> SelectionKey | None:
    """Return the key of a validation from its record in a run's log; None for a damaged record.

    It says no more than the values of its scores: only high ones are sure to carry information.
    """
    try:
        validation = msgspec.convert(record, _LoggedValidation)
    except msgspec.ValidationError:
        return None
    values: dict[str, float] = {name: score.value for name, score in validation.scores.items()}
    if _SCORES[metric] and not values.keys() & {*_SCORES[metric]}:
        return None
    scores = {
        n: Score(n, value, "", "", value >= _SURE.get(n, _NEVER)) for n, value in values.items()
    }
    return selection_key(metric, validation.loss, scores)[1]


class _LoggedScore(msgspec.Struct):
    value: float


class _LoggedValidation(msgspec.Struct):
    loss: float
    scores: dict[str, _LoggedScore]


def fallback_notice(metric: str, decides: str, scores: Collection[str]) -> str | None:
    """Return the notice that another metric than the recipe's decides for now.

    `scores` are those that there are. None if it always decides, as the text has no such score and
    the recipe names none in particular.
    """
    silent = [name for name in _SCORES[metric] if name != decides and name in scores]
    decider = f"{_LABELS[decides]} decides which checkpoint is best"
    if silent:
        verb = "carry" if len(silent) > 1 else "carries"
        names = " and ".join(_LABELS[name] for name in silent)
        return f"{names} {verb} no information yet ({_REASONS[silent[0]]}): {decider}"
    if decides in _SCORES[metric]:
        return None
    return f"{_LABELS[metric]} is no score of these labels: {decider}"


_REASONS = {
    **dict.fromkeys(METRIC_NAMES, "all texts get the same answer"),
    **dict.fromkeys(_SURE, "too few matches, or no better than chance"),
    "span_f1": "no span is right",
}
_LABELS = {
    **{name: name for name in METRIC_NAMES},
    "bleu": "BLEU",
    "chrf": "chrF",
    LOSS: "the loss",
    "f1_macro": "macro F1",
    "f1_micro": "micro F1",
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's correlation",
    "span_f1": "F1 of spans",
}
