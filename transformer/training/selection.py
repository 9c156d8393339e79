"""The choice of the best checkpoint: an order of validations, in which the largest is the best."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..evaluation import Score

LOSS = "loss"
# The metrics that decide instead of one that carries no information, in turn; then the loss.
_SCORES = {"bleu": ("bleu", "chrf"), "chrf": ("chrf",), LOSS: ()}
_SURE = {"bleu": 10.0, "chrf": 40.0}  # far above chance in any language


class SelectionKey(msgspec.Struct, frozen=True, order=True, array_like=True):
    """A validation's rank among others: its metric, the metric's value, then the lower loss.

    BLEU decides where it carries information (see Score), else chrF, else the loss. A validation
    whose better metric says something ranks above one where it does not, so the order is total:
    the best checkpoint depends on no order in time. Values equal to two decimals are a tie.
    """

    level: int  # larger: closer to the recipe's metric
    value: float  # 0 where the loss decides
    negative_loss: float


def selection_key(
    metric: str, loss: float, scores: Mapping[str, Score]
) -> tuple[str, SelectionKey]:
    """Return the metric that decides on a validation, and the validation's key."""
    names = _SCORES[metric]
    for index, name in enumerate(names):
        if scores[name].informative:
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
    if not values.keys() >= {*_SCORES[metric]}:
        return None
    scores = {
        n: Score(n, value, "", "", value >= _SURE[n]) for n, value in values.items() if n in _SURE
    }
    return selection_key(metric, validation.loss, scores)[1]


class _LoggedScore(msgspec.Struct):
    value: float


class _LoggedValidation(msgspec.Struct):
    loss: float
    scores: dict[str, _LoggedScore]


def fallback_notice(metric: str, decides: str) -> str:
    """Return the notice that another metric than the recipe's decides for now."""
    silent = [_LABELS[name] for name in _SCORES[metric] if name != decides]
    return (
        f"{' and '.join(silent)} {'carry' if len(silent) > 1 else 'carries'} no information yet "
        f"(too few matches, or no better than chance): {_LABELS[decides]} decides which "
        "checkpoint is best"
    )


_LABELS = {"bleu": "BLEU", "chrf": "chrF", LOSS: "the loss"}
