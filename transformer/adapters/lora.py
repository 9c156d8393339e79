"""Low-rank updates of linear maps: LoRA, arXiv 2106.09685.

`y = W x + scale · B A x`, with A (rank, inputs) drawn and B (outputs, rank) zero at first, so that
an adapted network starts as its base. W is frozen. Merging writes `W + scale · B A`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..dropout import Dropout
from ..model import Transformer
from ..uninitialized import Linear
from .parts import LinearPart
from .settings import AdapterSettings


class LowRankUpdate(NamedTuple):
    """An update of one linear map, as tensors."""

    part: LinearPart
    a: Tensor  # (rank, inputs)
    b: Tensor  # (outputs, rank)
    scale: float
    magnitude: Tensor | None = None  # of each output's weights, with DoRA: arXiv 2402.09353

    def apply(self, weight: Tensor) -> Tensor:
        """Return the part's rows of a matrix with the update in them, at least in float32."""
        dtype = torch.promote_types(weight.dtype, torch.float32)
        rows, a, b = (t.to(weight.device, dtype) for t in (weight, self.a, self.b))
        updated: Tensor = rows + self.scale * (b @ a)
        if self.magnitude is None:
            return updated
        wanted = self.magnitude.to(updated).flatten()
        lengths: Tensor = torch.linalg.vector_norm(updated, dim=1)
        return updated * (wanted / lengths)[:, None]


class LoraUpdate(nn.Module):
    """A trained update: `scale · B A dropout(x)`, for some rows of a linear map."""

    def __init__(self, part: LinearPart, settings: AdapterSettings) -> None:
        super().__init__()
        self.part, self.scale = part, settings.scale
        self.lora_A = nn.Parameter(torch.empty(settings.rank, part.inputs))
        self.lora_B = nn.Parameter(torch.empty(part.stop - part.start, settings.rank))
        self.dropout = Dropout(settings.dropout)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw A as PEFT does, and make B zero."""
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(self.lora_B)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return what is added to the part's outputs, (B, T, outputs)."""
        return F.linear(F.linear(self.dropout(x_BTD), self.lora_A), self.lora_B) * self.scale

    def tensors(self) -> LowRankUpdate:
        """Return the update as it is."""
        return LowRankUpdate(self.part, self.lora_A.detach(), self.lora_B.detach(), self.scale)


class AdaptedLinear(Linear):
    """A frozen linear map with updates of its rows; weight and bias keep their names."""

    def __init__(self, base: nn.Linear, updates: Mapping[str, LoraUpdate]) -> None:
        with torch.device("meta"):
            super().__init__(base.in_features, base.out_features, bias=base.bias is not None)
        self.weight, self.bias = base.weight, base.bias
        self.updates = nn.ModuleDict(updates)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, inputs) → (B, T, outputs)."""
        y_BTD = super().forward(x_BTD)
        for update in self.updates.values():
            assert isinstance(update, LoraUpdate)
            y_BTD[..., update.part.start : update.part.stop].add_(update(x_BTD))
        return y_BTD

    def plain(self) -> Linear:
        """Return the linear map without its updates."""
        with torch.device("meta"):
            linear = Linear(self.in_features, self.out_features, bias=self.bias is not None)
        linear.weight, linear.bias = self.weight, self.bias
        return linear


def attach_lora(
    model: Transformer, parts: Sequence[LinearPart], settings: AdapterSettings, *, seed: int | None
) -> None:
    """Put new updates on a model's linear maps, and freeze everything else.

    The same seed gives the same first values; without one, they have none. A model on a GPU gets
    them from the CPU.
    """
    model.requires_grad_(False)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for name, group in _by_module(parts).items():
        base = model.get_submodule(name)
        assert isinstance(base, nn.Linear)
        updates = {part.key: LoraUpdate(part, settings) for part in group}
        if generator is not None:
            for update in updates.values():
                update.initialize(generator)
        _replace(model, name, AdaptedLinear(base, updates).to(base.weight.device))


def lora_updates(model: Transformer) -> list[LowRankUpdate]:
    """Return the updates that a model has, as they are."""
    return [module.tensors() for module in model.modules() if isinstance(module, LoraUpdate)]


@torch.no_grad()
def set_updates(model: Transformer, updates: Iterable[LowRankUpdate]) -> None:
    """Give the updates that a model has other values, by the names of their parts."""
    own = {m.part.name: m for m in model.modules() if isinstance(m, LoraUpdate)}
    for update in updates:
        own[update.part.name].lora_A.copy_(update.a)
        own[update.part.name].lora_B.copy_(update.b)


def detach_lora(model: Transformer) -> list[LowRankUpdate]:
    """Take the updates off a model, which is its base again, and return them."""
    updates = lora_updates(model)
    adapted = {n: m for n, m in model.named_modules() if isinstance(m, AdaptedLinear)}
    for name, module in adapted.items():
        _replace(model, name, module.plain())
    return updates


@torch.no_grad()
def merge_updates(model: Transformer, updates: Iterable[LowRankUpdate]) -> None:
    """Write updates into a model's matrices, in place of views of their file."""
    for update in updates:
        linear = model.get_submodule(update.part.module)
        assert isinstance(linear, nn.Linear)
        weight = linear.weight.clone()
        rows = slice(update.part.start, update.part.stop)
        weight[rows] = update.apply(linear.weight[rows])
        linear.weight = nn.Parameter(weight, requires_grad=linear.weight.requires_grad)


def _by_module(parts: Iterable[LinearPart]) -> dict[str, list[LinearPart]]:
    groups: dict[str, list[LinearPart]] = {}
    for part in parts:
        groups.setdefault(part.module, []).append(part)
    return groups


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
