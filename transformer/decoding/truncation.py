"""Processors that sharpen a distribution or cut its tail, whatever was written.

Shape suffixes: R rows, V vocabulary. What is forbidden becomes -inf.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .tasks import Processor, Row

_FORBIDDEN = float("-inf")


def temperature(value: float) -> Processor:
    """`softmax(logits / τ)`: below 1 sharper, above 1 flatter."""
    _check("temperature", value > 0, value, "above 0 (0 is greedy search)")
    return lambda logits_RV, _rows: logits_RV / value


def top_k(value: float) -> Processor:
    """Keep the k most likely tokens."""
    _check("top-k", value >= 1 and value == int(value), value, "a whole number of at least 1")

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        del rows
        least_R1 = logits_RV.topk(min(int(value), logits_RV.size(-1))).values[:, -1:]
        return logits_RV.masked_fill(logits_RV < least_R1, _FORBIDDEN)

    return process


def top_p(value: float) -> Processor:
    """Keep the fewest tokens whose probabilities sum to at least p; arXiv 1904.09751."""
    _check("top-p", 0 < value <= 1, value, "above 0 and at most 1")

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        del rows
        sorted_RV, order_RV = logits_RV.sort(descending=True)
        probabilities_RV = sorted_RV.softmax(dim=-1)
        before_RV = probabilities_RV.cumsum(dim=-1) - probabilities_RV
        dropped_RV = torch.zeros_like(logits_RV, dtype=torch.bool)
        dropped_RV.scatter_(1, order_RV, before_RV >= value)
        return logits_RV.masked_fill(dropped_RV, _FORBIDDEN)

    return process


def min_p(value: float) -> Processor:
    """Keep tokens at least p times as likely as the likeliest; arXiv 2407.01082."""
    _check("min-p", 0 <= value <= 1, value, "between 0 and 1")
    floor = math.log(value) if value > 0 else _FORBIDDEN

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        del rows
        best_R1 = logits_RV.amax(dim=-1, keepdim=True)
        return logits_RV.masked_fill(logits_RV < best_R1 + floor, _FORBIDDEN)

    return process


def _check(name: str, good: bool, value: float, allowed: str) -> None:
    if not good:
        raise ValueError(f"{name} is {value:g}; it must be {allowed}")
