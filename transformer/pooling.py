"""Poolings: one vector of a text from the states of its tokens.

Shape suffixes: B texts, S tokens, D d_model.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .registry import Registry


def _mean(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    return (states_BSD * mask_BS1).sum(dim=1) / mask_BS1.sum(dim=1)


def _mean_sqrt(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    return (states_BSD * mask_BS1).sum(dim=1) / mask_BS1.sum(dim=1).sqrt()


def _weighted_mean(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    """Return the mean in which the n-th token counts n times; arXiv 2202.08904."""
    numbers_S1 = torch.arange(1, mask_BS1.size(1) + 1, device=mask_BS1.device)[:, None]
    weights_BS1 = mask_BS1 * numbers_S1
    return (states_BSD * weights_BS1).sum(dim=1) / weights_BS1.sum(dim=1)


def _first(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    del mask_BS1
    return states_BSD[:, 0]


def _last(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    last_B = mask_BS1.size(1) - 1 - mask_BS1[:, :, 0].flip(1).byte().argmax(dim=1)
    return states_BSD[torch.arange(len(states_BSD), device=last_B.device), last_B]


def _max(states_BSD: Tensor, mask_BS1: Tensor) -> Tensor:
    return states_BSD.masked_fill(~mask_BS1, float("-inf")).amax(dim=1)


POOLINGS: Registry[Callable[[Tensor, Tensor], Tensor]] = Registry(
    "pooling",
    {
        "mean": _mean,
        "first": _first,
        "last": _last,
        "max": _max,
        "mean-sqrt": _mean_sqrt,
        "weighted-mean": _weighted_mean,
    },
)
