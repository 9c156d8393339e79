"""Normalization, and its placement in a residual block."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import TransformerConfig
from .dropout import Dropout
from .registry import Registry


class NormKind(NamedTuple):
    """A norm over the last dimension, by its width and ε, and the number of its trained vectors."""

    make: Callable[[int, float], nn.Module]
    vectors: int


class LayerNorm(nn.LayerNorm):
    """torch's layer norm, called without its two wrappers."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize over the last dimension."""
        return torch.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class ZeroCenteredRMSNorm(nn.RMSNorm):
    """`x / rms(x) · (1 + w)`: a root-mean-square norm whose weights start at 0, as in Gemma."""

    def reset_parameters(self) -> None:
        """Set the weights to 0, with which the norm scales nothing."""
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize over the last dimension, in float32 at least: 1 + w has no room in half."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        weight = 1 + self.weight.to(dtype)
        return F.rms_norm(x.to(dtype), self.normalized_shape, weight, self.eps).to(x.dtype)


NORMS: Registry[NormKind] = Registry(
    "norm",
    {
        # arXiv 1607.06450
        "layernorm": NormKind(lambda width, eps: LayerNorm(width, eps=eps), vectors=2),
        # arXiv 1910.07467
        "rmsnorm": NormKind(lambda width, eps: nn.RMSNorm(width, eps=eps), vectors=1),
        "rmsnorm-zero-centered": NormKind(
            lambda width, eps: ZeroCenteredRMSNorm(width, eps=eps), vectors=1
        ),
    },
)


def make_norm(config: TransformerConfig, width: int | None = None) -> nn.Module:
    """Build the configured norm over the last dimension; `width` None: d_model."""
    return NORMS[config.norm].make(width or config.d_model, config.norm_eps)


def count_norm_parameters(config: TransformerConfig, width: int | None = None) -> int:
    """Return the number of weights in one norm; `width` None: d_model."""
    return NORMS[config.norm].vectors * (width or config.d_model)


# The width of a norm of queries or keys, by the number of their heads and the width of one.
QK_NORMS: Registry[Callable[[int, int], int] | None] = Registry(
    "norm of queries and keys",
    {
        "none": None,
        "per-head": lambda _heads, width: width,  # Qwen3; arXiv 2302.05442 §2
        "all-heads": lambda heads, width: heads * width,  # OLMo 2, arXiv 2501.00656 §3.3
    },
)


class HeadNorm(nn.Module):
    """A norm of queries or keys, (B, T, H, K), over `width` numbers of each token."""

    def __init__(self, config: TransformerConfig, width: int) -> None:
        super().__init__()
        self.width = width
        self.norm = make_norm(config, width)

    def forward(self, x_BTHK: Tensor) -> Tensor:
        """(B, T, H, K) → (B, T, H, K)."""
        normed: Tensor = self.norm(x_BTHK.reshape(*x_BTHK.shape[:2], -1, self.width))
        return normed.view(x_BTHK.shape)


def make_head_norm(config: TransformerConfig, heads: int) -> HeadNorm | None:
    """Build the configured norm of queries or keys, which comes before rotation; None: no norm."""
    width = QK_NORMS[config.qk_norm]
    return None if width is None else HeadNorm(config, width(heads, config.head_width))


def count_head_norm_parameters(config: TransformerConfig, heads: int) -> int:
    """Return the number of weights in the norm of queries or keys of so many heads."""
    width = QK_NORMS[config.qk_norm]
    return 0 if width is None else count_norm_parameters(config, width(heads, config.head_width))


Sublayer = Callable[[Tensor], Tensor]


class PostNorm(nn.Module):
    """`norm(x + dropout(sublayer(x)))`, the original residual block; arXiv 1706.03762 §3.1."""

    norms = 1  # in one block

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


class SandwichNorm(PostNorm):
    """`x + dropout(norm₂(sublayer(norm(x))))`; CogView, arXiv 2105.13290 §2.4, and Gemma 2."""

    norms = 2

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.output_norm = make_norm(config)

    def forward(self, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        """Apply the sublayer around x; shapes stay (B, T, D)."""
        y_BTD: Tensor = x_BTD + self.dropout(self.output_norm(sublayer(self.norm(x_BTD))))
        return y_BTD


class ReorderedNorm(PostNorm):
    """`x + dropout(norm(sublayer(x)))`; Swin v2, arXiv 2111.09883 §3.2, and OLMo 2."""

    def forward(self, x_BTD: Tensor, sublayer: Sublayer) -> Tensor:
        """Apply the sublayer around x; shapes stay (B, T, D)."""
        y_BTD: Tensor = x_BTD + self.dropout(self.norm(sublayer(x_BTD)))
        return y_BTD


RESIDUALS: Registry[type[PostNorm]] = Registry(
    "norm placement",
    {"post": PostNorm, "pre": PreNorm, "sandwich": SandwichNorm, "reordered": ReorderedNorm},
)


def make_residual(config: TransformerConfig) -> PostNorm:
    """Build the configured residual block."""
    return RESIDUALS[config.norm_placement](config)
