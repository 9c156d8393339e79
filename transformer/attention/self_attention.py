"""Multi-head self-attention; arXiv 1706.03762 §3.2.2.

Shape suffixes: B batch, T tokens, D d_model, H heads, G key heads, K head width.
"""

from torch import Tensor, nn

from ..config import TransformerConfig
from ..norms import count_head_norm_parameters, make_head_norm
from ..uninitialized import Linear, count_linear_parameters
from .mixing import Mixing


class SelfAttention(nn.Module):
    """Multi-head self-attention, with one matrix for queries, keys and values.

    `rank` is its number among the layers that are as it is, which share a cache.
    """

    def __init__(self, config: TransformerConfig, rank: int = 0) -> None:
        super().__init__()
        self.config, self.rank = config, rank
        width = config.head_width
        rows = (config.heads + 2 * config.key_value_heads) * width
        self.qkv = Linear(config.d_model, rows, bias=config.has_attention_bias)
        self.out = Linear(
            config.heads * width, config.d_model, bias=config.has_attention_output_bias
        )
        self.q_norm = make_head_norm(config, config.heads)
        self.k_norm = make_head_norm(config, config.key_value_heads)

    def forward(self, x_BTD: Tensor, mixing: Mixing) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        config = self.config
        groups = config.key_value_heads
        qkv_heads = self.qkv(x_BTD).unflatten(-1, (-1, config.head_width))
        q, k, v = qkv_heads.split([config.heads, groups, groups], dim=2)
        dropout = config.attention_dropout if self.training else 0.0
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        mixed_BTHK = mixing(q, k, v, layer=self.rank, dropout=dropout)
        y_BTD: Tensor = self.out(mixed_BTHK.flatten(2))
        return y_BTD


def count_attention_parameters(config: TransformerConfig) -> int:
    """Return the number of weights in one layer's attention, to itself or to a source."""
    width = config.heads * config.head_width
    rows = width + 2 * config.key_value_heads * config.head_width
    maps = count_linear_parameters(config.d_model, rows, bias=config.has_attention_bias)
    maps += count_linear_parameters(width, config.d_model, bias=config.has_attention_output_bias)
    norms = (count_head_norm_parameters(config, n) for n in (config.heads, config.key_value_heads))
    return maps + sum(norms)
