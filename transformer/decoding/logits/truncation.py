"""Processors that sharpen a distribution or cut its tail, whatever the text so far.

Shape suffixes: R rows, V vocabulary, C most likely tokens. A forbidden token's logit is -inf.
"""

import math
from collections.abc import Sequence

import torch
from msgspec import Meta
from torch import Tensor

from ...bounds import check_number
from ..request import Processor, SequenceState

_FORBIDDEN = float("-inf")
_PARTIAL_SORT = 512  # tokens


def temperature(value: float) -> Processor:
    """Divide logits by τ: below 1 the distribution becomes sharper, above 1 flatter."""
    check_number("temperature", value, Meta(ge=1e-3, le=1e3, description="0 is greedy search"))
    return lambda logits_RV, _rows: logits_RV / value


def top_k(value: float) -> Processor:
    """Keep the k most likely tokens."""
    check_number("top-k", value, Meta(ge=1, multiple_of=1))

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        threshold_R1 = logits_RV.topk(min(int(value), logits_RV.size(-1))).values[:, -1:]
        return logits_RV.masked_fill(logits_RV < threshold_R1, _FORBIDDEN)

    return process


def top_p(value: float) -> Processor:
    """Keep the fewest tokens whose probabilities sum to at least p; arXiv 1904.09751."""
    check_number("top-p", value, Meta(gt=0, le=1))

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        probs_RV = logits_RV.softmax(dim=-1)
        for count in _sort_sizes(logits_RV):
            probs_RC, order_RC = probs_RV.topk(count)
            masses_RC = probs_RC.cumsum(dim=-1)
            if count == logits_RV.size(1) or bool((masses_RC[:, -1] >= value).all()):
                break
        dropped_RV = torch.ones_like(logits_RV, dtype=torch.bool)
        dropped_RV.scatter_(1, order_RC, masses_RC - probs_RC >= value)
        return logits_RV.masked_fill(dropped_RV, _FORBIDDEN)

    return process


def min_p(value: float) -> Processor:
    """Keep tokens at least p times as likely as the likeliest; arXiv 2407.01082."""
    check_number("min-p", value, Meta(ge=0, le=1))
    floor = math.log(value) if value > 0 else _FORBIDDEN

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        best_R1 = logits_RV.amax(dim=-1, keepdim=True)
        return logits_RV.masked_fill(logits_RV < best_R1 + floor, _FORBIDDEN)

    return process


def top_n_sigma(value: float) -> Processor:
    """Keep logits of at least `max - n·σ`; arXiv 2411.07641.

    σ is the standard deviation of the logits that are not forbidden, in which the sum of squares is
    divided by their number, so that a single one has σ = 0; the paper's program divides by one
    less.
    """
    check_number("top-n-sigma", value, Meta(gt=0))

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        forbidden_RV = logits_RV.isneginf()
        counts_R1 = (~forbidden_RV).sum(dim=-1, keepdim=True).clamp(min=1)
        means_R1 = logits_RV.masked_fill(forbidden_RV, 0.0).sum(dim=-1, keepdim=True) / counts_R1
        from_mean_RV = (logits_RV - means_R1).masked_fill(forbidden_RV, 0.0)
        sigmas_R1 = (from_mean_RV.square().sum(dim=-1, keepdim=True) / counts_R1).sqrt()
        threshold_R1 = logits_RV.amax(dim=-1, keepdim=True) - value * sigmas_R1
        return logits_RV.masked_fill(logits_RV < threshold_R1, _FORBIDDEN)

    return process


def typical(value: float) -> Processor:
    """Keep the fewest tokens of mass p with `-log p` nearest to the entropy; arXiv 2202.00666."""
    check_number("typical", value, Meta(gt=0, le=1))
    if value == 1:  # the rounding of a sum to 1 would drop the farthest
        return lambda logits_RV, _rows: logits_RV

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        log_probs_RV = logits_RV.log_softmax(dim=-1)
        distances_RV = (log_probs_RV + _entropy(log_probs_RV)).abs()
        cutoff_R1 = _distance_reaching_mass(distances_RV, log_probs_RV, value)
        return logits_RV.masked_fill(distances_RV > cutoff_R1, _FORBIDDEN)

    return process


def epsilon_cutoff(value: float) -> Processor:
    """Keep tokens at least as likely as ε, and the likeliest; arXiv 2210.15191."""
    check_number("epsilon-cutoff", value, Meta(ge=0, lt=1, description="0 is none"))
    return lambda logits_RV, _rows: _keep_probable(logits_RV, logits_RV.softmax(dim=-1), value)


def eta_cutoff(value: float) -> Processor:
    """Keep tokens at least as likely as `min(ε, √ε·e^-H)`, H the entropy; arXiv 2210.15191."""
    check_number("eta-cutoff", value, Meta(ge=0, lt=1, description="0 is none"))

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        log_probs_RV = logits_RV.log_softmax(dim=-1)
        threshold_R1 = (math.sqrt(value) * (-_entropy(log_probs_RV)).exp()).clamp(max=value)
        return _keep_probable(logits_RV, log_probs_RV.exp(), threshold_R1)

    return process


def _sort_sizes(logits_RV: Tensor) -> tuple[int, ...]:
    """Return how many of the likeliest tokens to sort, in turn, until they are enough.

    Few are enough as a rule, but a GPU would have to be waited for to learn whether they are.
    """
    size = logits_RV.size(1)
    return (
        (_PARTIAL_SORT, size)
        if logits_RV.device.type == "cpu" and size > _PARTIAL_SORT
        else (size,)
    )


def _distance_reaching_mass(distances_RV: Tensor, log_probs_RV: Tensor, mass: float) -> Tensor:
    """Return the distance (R, 1) within which tokens have this mass.

    A few tokens are enough as a rule, and finding them takes a sixth of the time of sorting all.
    """
    for count in _sort_sizes(log_probs_RV):
        nearest_RC, order_RC = distances_RV.topk(count, largest=False)
        masses_RC = log_probs_RV.gather(1, order_RC).exp().cumsum(dim=-1)
        if count == log_probs_RV.size(1) or bool((masses_RC[:, -1] >= mass).all()):
            break
    last_R1 = (masses_RC < mass).sum(dim=-1, keepdim=True).clamp(max=count - 1)
    return nearest_RC.gather(1, last_R1)


def _entropy(log_probs_RV: Tensor) -> Tensor:
    """Return the entropy `-Σ p·log p` (R, 1); forbidden tokens add nothing."""
    return -(log_probs_RV * log_probs_RV.exp()).nansum(dim=-1, keepdim=True)


def _keep_probable(logits_RV: Tensor, probs_RV: Tensor, threshold: Tensor | float) -> Tensor:
    """Keep tokens of at least this probability, and the likeliest, so that one is left."""
    dropped_RV = (probs_RV < threshold) & (logits_RV < logits_RV.amax(dim=-1, keepdim=True))
    return logits_RV.masked_fill(dropped_RV, _FORBIDDEN)
