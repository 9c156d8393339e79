"""Normalization, and its placement in a residual block."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from .config import TransformerConfig
from .dropout import Dropout
from .registry import Registry


class NormKind(NamedTuple):
    """A norm over the last dimension, and the number of its trained vectors."""

    make: Callable[[TransformerConfig], nn.Module]
    vectors: int


NORMS: Registry[NormKind] = Registry(
    "norm",
    {
        # arXiv 1607.06450
        "layernorm": NormKind(lambda c: nn.LayerNorm(c.d_model, eps=c.norm_eps), vectors=2),
        # arXiv 1910.07467
        "rmsnorm": NormKind(lambda c: nn.RMSNorm(c.d_model, eps=c.norm_eps), vectors=1),
    },
)


def make_norm(config: TransformerConfig) -> nn.Module:
    """Build the configured norm over the last dimension, of width d_model."""
    return NORMS[config.norm].make(config)


def count_norm_parameters(config: TransformerConfig) -> int:
    """Return the number of weights in one norm."""
    return NORMS[config.norm].vectors * config.d_model


Sublayer = Callable[[Tensor], Tensor]


class PostNorm(nn.Module):
    """`norm(x + dropout(sublayer(x)))`, the original residual block; arXiv 1706.03762 §3.1."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = make_norm(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        """Apply the sublayer around x; shapes stay (B, T, D)."""
        y_BTD: Tensor = self.norm(x_BTD + self.dropout(sublayer(x_BTD)))
        return y_BTD


class PreNorm(PostNorm):
    """`x + dropout(sublayer(norm(x)))`, which trains without warm-up; arXiv 2002.04745."""

    def forward(self, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        """Apply the sublayer around x; shapes stay (B, T, D)."""
        y_BTD: Tensor = x_BTD + self.dropout(sublayer(self.norm(x_BTD)))
        return y_BTD


RESIDUALS: Registry[type[PostNorm]] = Registry("norm placement", {"post": PostNorm, "pre": PreNorm})


def make_residual(config: TransformerConfig) -> PostNorm:
    """Build the configured residual block."""
    return RESIDUALS[config.norm_placement](config)
