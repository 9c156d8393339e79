"""Optimizers, and the exponential moving average of weights."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..registry import Registry
from .recipe import TrainingRecipe

Groups = list[dict[str, Any]]


def parameter_groups(rated: Iterable[tuple[Tensor, float]], weight_decay: float) -> Groups:
    """Return groups of parameters by their factor of the learning rate, which each group has too.

    Weight decay is on matrices, and none on norms and biases.
    """
    groups: Groups = []
    by_factor: dict[float, list[Tensor]] = {}
    for parameter, factor in rated:
        by_factor.setdefault(factor, []).append(parameter)
    for factor, parameters in by_factor.items():
        matrices = [p for p in parameters if p.dim() > 1]
        others = [p for p in parameters if p.dim() <= 1]
        groups += [
            {"params": matrices, "weight_decay": weight_decay, "factor": factor},
            {"params": others, "weight_decay": 0.0, "factor": factor},
        ]
    return groups


def _adamw(groups: Groups, recipe: TrainingRecipe) -> Optimizer:
    betas = (recipe.beta1, recipe.beta2)
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=recipe.adam_eps, fused=True)


def _sgd(groups: Groups, recipe: TrainingRecipe) -> Optimizer:
    optimizer = torch.optim.SGD(groups, lr=0.0, momentum=recipe.beta1, fused=True)
    if recipe.beta1:  # torch leaves the buffers uninitialized if the very first step is skipped
        for p in (p for group in groups for p in group["params"]):
            optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return optimizer


class OptimizerEntry(NamedTuple):
    """An optimizer of the registry."""

    build: Callable[[Groups, TrainingRecipe], Optimizer]
    moments: int  # tensors that it keeps for each one of the weights


# Fused optimizers skip their update where the tensor `found_inf` is 1, without a host sync.
OPTIMIZERS: Registry[OptimizerEntry] = Registry(
    "optimizer",
    {
        "adamw": OptimizerEntry(_adamw, 2),  # arXiv 1711.05101; with weight_decay 0 it is Adam
        "sgd": OptimizerEntry(_sgd, 1),
    },
)


class EMA:
    """Exponential moving average of weights: `a ← β·a + (1-β)·w`.

    β is at most (1+n)/(10+n) at update n, so that the first steps are soon forgotten.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.weights = {name: w.detach().clone() for name, w in weights.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor], updates: int, applied: Tensor) -> None:
        """Average in the weights after update number `updates`, counted from 1.

        `applied` is a boolean tensor on their device; where it is False, nothing changes.
        """
        decay = min(self.decay, (1 + updates) / (10 + updates))
        weight = (1 - decay) * applied.double()
        for name, average in self.weights.items():
            average.lerp_(weights[name], weight.to(average.dtype))
