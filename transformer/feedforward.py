"""The position-wise feed-forward network: `W₂ act(W₁x + b₁) + b₂`; arXiv 1706.03762 §3.3."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import TransformerConfig
from .dropout import Dropout
from .registry import Registry
from .uninitialized import Linear


class FeedForwardKind(NamedTuple):
    """An activation; where `gated`, it gates a second projection (arXiv 2002.05202)."""

    activation: Callable[[Tensor], Tensor]
    gated: bool = False


FEEDFORWARDS: Registry[FeedForwardKind] = Registry(
    "feed-forward",
    {
        "relu": FeedForwardKind(F.relu),
        "gelu": FeedForwardKind(F.gelu),
        "gelu-tanh": FeedForwardKind(partial(F.gelu, approximate="tanh")),
        "gelu-sigmoid": FeedForwardKind(lambda x: x * torch.sigmoid(1.702 * x)),
        "silu": FeedForwardKind(F.silu),
        "reglu": FeedForwardKind(F.relu, gated=True),
        "geglu": FeedForwardKind(F.gelu, gated=True),
        "geglu-tanh": FeedForwardKind(partial(F.gelu, approximate="tanh"), gated=True),
        "swiglu": FeedForwardKind(F.silu, gated=True),
    },
)


class FeedForward(nn.Module):
    """`down(act(up(x)))`, or `down(act(gate(x)) ⊙ up(x))` where gated.

    A gated kind keeps gate and up in one matrix of 2·d_ff rows, gate first.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.kind = FEEDFORWARDS[config.feedforward]
        parts = 2 if self.kind.gated else 1
        self.up = Linear(config.d_model, parts * config.d_ff, bias=config.bias)
        self.down = Linear(config.d_ff, config.d_model, bias=config.bias)
        self.dropout = Dropout(config.activation_dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        hidden_BTF = self.up(x_BTD)
        if self.kind.gated:
            gate_BTF, hidden_BTF = hidden_BTF.chunk(2, dim=-1)
            hidden_BTF = self.kind.activation(gate_BTF) * hidden_BTF
        else:
            hidden_BTF = self.kind.activation(hidden_BTF)
        y_BTD: Tensor = self.down(self.dropout(hidden_BTF))
        return y_BTD
