"""Attention of the decoder to the encoder's output; arXiv 1706.03762 §3.2.3.

Shape suffixes: B batch, T tokens, S source tokens, D d_model, H heads, G key heads, K head width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .. import masks
from ..attention import dense_attention
from ..cache import KeysValues
from ..config import TransformerConfig
from ..norms import make_head_norm
from ..soft_cap import soft_cap
from ..uninitialized import Linear


class CrossAttentionContext(NamedTuple):
    """The encoder's output for cross-attention: its states, or cached keys and values."""

    states_BSD: Tensor | None
    cached: list[KeysValues] | None  # of each layer
    mask_B1TS: Tensor | None
    weights: list[Tensor] | None = None  # to which each layer appends its weights (B, H, T, S)


class CrossAttention(nn.Module):
    """Multi-head attention of the decoder to the encoder's output.

    `number` is that of its layer.
    """

    def __init__(self, config: TransformerConfig, number: int = 0) -> None:
        super().__init__()
        self.config, self.number = config, number
        width = config.head_width
        self.q = Linear(config.d_model, config.heads * width, bias=config.has_attention_bias)
        self.kv = Linear(
            config.d_model, 2 * config.key_value_heads * width, bias=config.has_attention_bias
        )
        self.out = Linear(
            config.heads * width, config.d_model, bias=config.has_attention_output_bias
        )
        self.q_norm = make_head_norm(config, config.heads)
        self.k_norm = make_head_norm(config, config.key_value_heads)

    def keys_values(self, states_BSD: Tensor) -> KeysValues:
        """Project the encoder's output to keys and values, (B, S, G, K) each."""
        heads = self.kv(states_BSD).unflatten(-1, (-1, self.config.head_width))
        k_BSGK, v_BSGK = heads.chunk(2, dim=2)
        return (k_BSGK if self.k_norm is None else self.k_norm(k_BSGK)), v_BSGK

    def _queries(self, x_BTD: Tensor) -> Tensor:
        """Project to queries, (B, T, H, K)."""
        q_BTR: Tensor = self.q(x_BTD)
        q_BTHK = q_BTR.view(*x_BTD.shape[:2], self.config.heads, self.config.head_width)
        return q_BTHK if self.q_norm is None else self.q_norm(q_BTHK)

    def forward(self, x_BTD: Tensor, context: CrossAttentionContext) -> Tensor:
        """(B, T, D) → (B, T, D).

        Consecutive rows that share a cached source attend as queries of one row, without copies.
        """
        if context.cached is not None:
            k, v = context.cached[self.number]
        else:
            assert context.states_BSD is not None
            k, v = self.keys_values(context.states_BSD)
        if context.weights is not None:
            context.weights.append(self._weights(x_BTD, k, context.mask_B1TS))
        q_BTHK = self._queries(x_BTD)
        q_BTHK = q_BTHK.view(len(k), -1, *q_BTHK.shape[2:])
        mixed_BTHK = dense_attention(
            q_BTHK,
            k,
            v,
            scale=self.config.scale,
            mask=context.mask_B1TS,
            softcap=self.config.attention_softcap,
            dropout=self.config.attention_dropout if self.training else 0.0,
        )
        y_BTD: Tensor = self.out(mixed_BTHK.reshape(*x_BTD.shape[:2], -1))
        return y_BTD

    def _weights(self, x_BTD: Tensor, k_BSGK: Tensor, mask_B1TS: Tensor | None) -> Tensor:
        """Return the attention weights `softmax(QKᵀ/√d_k)` of each head, (B, H, T, S)."""
        q_BTHK = self._queries(x_BTD)
        k_BSHK = k_BSGK.repeat_interleave(self.config.heads // k_BSGK.size(2), dim=2)
        scores_BHTS = torch.einsum("bthk,bshk->bhts", self.config.scale * q_BTHK, k_BSHK)
        scores_BHTS = soft_cap(scores_BHTS, self.config.attention_softcap)
        if mask_B1TS is not None:
            scores_BHTS = scores_BHTS + masks.additive(mask_B1TS)
        return scores_BHTS.softmax(dim=-1)


def make_cross_mask(positions_BS: Tensor | None) -> Tensor | None:
    """Return the mask (B, 1, 1, S) that hides the source's padding; None without padding."""
    return None if positions_BS is None else masks.padding(positions_BS)
