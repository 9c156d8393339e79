"""Kinds of labels: what a text may have of them, and what follows for outputs and loss.

Shape suffixes: B texts, L labels.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..registry import Registry


class LabelKind(NamedTuple):
    """A kind of labels.

    `answers` turns a head's outputs (…, L) into what a user reads: probabilities, or numbers.
    `loss` takes outputs (B, L), targets and label smoothing; it returns two sums over the targets.
    `example` returns targets of B texts and L labels, to measure a step with.
    """

    answers: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
    example: Callable[[int, int], Tensor]


def _one_label(outputs_BL: Tensor, targets_B: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    plain = F.cross_entropy(outputs_BL, targets_B, reduction="sum")
    if not smoothing:
        return plain, plain
    smoothed = F.cross_entropy(outputs_BL, targets_B, reduction="sum", label_smoothing=smoothing)
    return smoothed, plain


def _any_labels(outputs_BL: Tensor, targets_BL: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    plain = F.binary_cross_entropy_with_logits(outputs_BL, targets_BL, reduction="sum")
    if not smoothing:
        return plain, plain
    smoothed_BL = targets_BL * (1 - smoothing) + smoothing / 2
    return (
        F.binary_cross_entropy_with_logits(outputs_BL, smoothed_BL, reduction="sum"),
        plain,
    )


def _numbers(outputs_BL: Tensor, targets_BL: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    del smoothing  # there is no distribution
    plain = F.mse_loss(outputs_BL, targets_BL, reduction="sum")
    return plain, plain


LABEL_KINDS: Registry[LabelKind] = Registry(
    "kind of labels",
    {
        "single": LabelKind(
            partial(torch.softmax, dim=-1),
            _one_label,
            lambda texts, _labels: torch.zeros(texts, dtype=torch.int64),
        ),
        "multi": LabelKind(torch.sigmoid, _any_labels, torch.zeros),
        "number": LabelKind(lambda outputs: outputs, _numbers, torch.zeros),
    },
)
