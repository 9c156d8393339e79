"""Multi-head self-attention; arXiv 1706.03762 §3.2.2.

Shape suffixes: B batch, T tokens, D d_model, H heads, G key heads, K head width,
R outputs of a map.
"""

import torch
from torch import Tensor, nn

from ..config import TransformerConfig
from ..norms import count_head_norm_parameters, make_head_norm
from ..uninitialized import Linear, count_linear_parameters
from .mixing import HeadMixing


class SelfAttention(nn.Module):
    """Multi-head self-attention, with one matrix for queries, keys and values.

    `rank` is its number among the layers that are as it is, which share a cache. `fused` names the
    linear maps that are those of queries, keys and values in one.
    """

    fused: tuple[str, ...] = ("qkv",)

    def __init__(self, config: TransformerConfig, rank: int = 0) -> None:
        super().__init__()
        self.config, self.rank = config, rank
        self.qkv = make_qkv(config)
        self.out = Linear(
            config.heads * config.head_width,
            config.d_model,
            bias=config.has_attention_output_bias,
        )
        self.q_norm = make_head_norm(config, config.heads)
        self.k_norm = make_head_norm(config, config.key_value_heads)

    def forward(self, x_BTD: Tensor, mixing: HeadMixing) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        y_BTD: Tensor = self.out(self.mix(x_BTD, mixing).flatten(2))
        return y_BTD

    def mix(self, x_BTD: Tensor, mixing: HeadMixing) -> Tensor:
        """Return the mixed values (B, T, H, K) of each head."""
        return mixing(*self.heads(self.qkv(x_BTD)), layer=self.rank, dropout=self.dropout)

    def heads(self, qkv_BTR: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, T, H, K), keys and values (B, T, G, K) of a map for all three."""
        config, groups = self.config, self.config.key_value_heads
        heads = config.heads + 2 * groups
        qkv_heads = qkv_BTR.view(*qkv_BTR.shape[:2], heads, config.head_width)
        q, k, v = torch.split(qkv_heads, [config.heads, groups, groups], dim=2)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return q, k, v

    @property
    def dropout(self) -> float:
        """The rate at which weights are dropped now."""
        return self.config.attention_dropout if self.training else 0.0


def make_qkv(config: TransformerConfig) -> Linear:
    """Build a linear map to queries, keys and values."""
    return Linear(config.d_model, _qkv_rows(config), bias=config.has_attention_bias)


def count_qkv_parameters(config: TransformerConfig) -> int:
    """Return the number of weights in such a map."""
    bias = config.has_attention_bias
    return count_linear_parameters(config.d_model, _qkv_rows(config), bias=bias)


def _qkv_rows(config: TransformerConfig) -> int:
    return (config.heads + 2 * config.key_value_heads) * config.head_width


def count_attention_parameters(config: TransformerConfig) -> int:
    """Return the number of weights in one layer's attention, to itself or to a source."""
    width = config.heads * config.head_width
    maps = count_qkv_parameters(config)
    maps += count_linear_parameters(width, config.d_model, bias=config.has_attention_output_bias)
    norms = (count_head_norm_parameters(config, n) for n in (config.heads, config.key_value_heads))
    return maps + sum(norms)
