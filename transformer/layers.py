"""Attention modules, layers and stacks: encoder and decoder of arXiv 1706.03762, figure 1.

Shape suffixes: B batch, T tokens, S keys, D d_model, H heads, G key heads, K head width.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import masks
from .attention import ATTENTION, banded_attention, dense_attention, make_band_mask
from .cache import Cache, CrossAttentionCache, KeysValues
from .config import TransformerConfig
from .feedforward import FeedForward
from .norms import make_norm, make_residual
from .positions import POSITIONS, rotate
from .uninitialized import Linear


class AttentionContext(NamedTuple):
    """Mask, rotation and cache of self-attention: made once a forward pass, used by every layer."""

    attend: Callable[..., Tensor]  # with its mask; takes q, k, v, scale and dropout
    rotation: Tensor | None
    cache: Cache | None


class CrossAttentionContext(NamedTuple):
    """The encoder's output for cross-attention: its states, or cached keys and values."""

    states_BSD: Tensor | None
    cached: list[KeysValues] | None  # of each layer
    mask_B1TS: Tensor | None
    weights: list[Tensor] | None = None  # to which each layer appends its weights (B, H, T, S)


class SelfAttention(nn.Module):
    """Multi-head self-attention, with one matrix for queries, keys and values."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.head_width
        rows = (config.heads + 2 * config.key_value_heads) * width
        self.qkv = Linear(config.d_model, rows, bias=config.has_attention_bias)
        self.out = Linear(config.heads * width, config.d_model, bias=config.has_attention_bias)

    def forward(self, x_BTD: Tensor, context: AttentionContext, layer: int) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        config = self.config
        groups = config.key_value_heads
        qkv_heads = self.qkv(x_BTD).unflatten(-1, (-1, config.head_width))
        q, k, v = qkv_heads.split([config.heads, groups, groups], dim=2)
        q, k = rotate(q, context.rotation), rotate(k, context.rotation)
        if context.cache is not None:
            k, v = context.cache.update(layer, k, v)
        dropout = config.attention_dropout if self.training else 0.0
        mixed_BTHK = context.attend(q, k, v, scale=config.scale, dropout=dropout)
        y_BTD: Tensor = self.out(mixed_BTHK.flatten(2))
        return y_BTD


class CrossAttention(nn.Module):
    """Multi-head attention of the decoder to the encoder's output."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.head_width
        self.q = Linear(config.d_model, config.heads * width, bias=config.has_attention_bias)
        self.kv = Linear(
            config.d_model, 2 * config.key_value_heads * width, bias=config.has_attention_bias
        )
        self.out = Linear(config.heads * width, config.d_model, bias=config.has_attention_bias)

    def keys_values(self, states_BSD: Tensor) -> KeysValues:
        """Project the encoder's output to keys and values, (B, S, G, K) each."""
        heads = self.kv(states_BSD).unflatten(-1, (-1, self.config.head_width))
        k_BSGK, v_BSGK = heads.chunk(2, dim=2)
        return k_BSGK, v_BSGK

    def forward(self, x_BTD: Tensor, context: CrossAttentionContext, layer: int) -> Tensor:
        """(B, T, D) → (B, T, D).

        Consecutive rows that share a cached source attend as queries of one row, without copies.
        """
        if context.cached is not None:
            k, v = context.cached[layer]
        else:
            assert context.states_BSD is not None
            k, v = self.keys_values(context.states_BSD)
        if context.weights is not None:
            context.weights.append(self._weights(x_BTD, k, context.mask_B1TS))
        q_BTHK = self.q(x_BTD).view(len(k), -1, self.config.heads, self.config.head_width)
        mixed_BTHK = dense_attention(
            q_BTHK,
            k,
            v,
            scale=self.config.scale,
            mask=context.mask_B1TS,
            dropout=self.config.attention_dropout if self.training else 0.0,
        )
        y_BTD: Tensor = self.out(mixed_BTHK.reshape(*x_BTD.shape[:2], -1))
        return y_BTD

    def _weights(self, x_BTD: Tensor, k_BSGK: Tensor, mask_B1TS: Tensor | None) -> Tensor:
        """Return the attention weights `softmax(QKᵀ/√d_k)` of each head, (B, H, T, S)."""
        q_BTHK = self.q(x_BTD).unflatten(-1, (-1, self.config.head_width))
        k_BSHK = k_BSGK.repeat_interleave(self.config.heads // k_BSGK.size(2), dim=2)
        scores_BHTS = torch.einsum("bthk,bshk->bhts", self.config.scale * q_BTHK, k_BSHK)
        if mask_B1TS is not None:
            scores_BHTS = scores_BHTS + masks.additive(mask_B1TS)
        return scores_BHTS.softmax(dim=-1)


class Layer(nn.Module):
    """Self-attention, then the feed-forward network, each in a residual block."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_residual = make_residual(config)
        self.feedforward = FeedForward(config)
        self.feedforward_residual = make_residual(config)

    def forward(
        self,
        x_BTD: Tensor,
        context: AttentionContext,
        cross: CrossAttentionContext | None,
        layer: int,
    ) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        del cross
        x_BTD = self.attention_residual(x_BTD, lambda x: self.attention(x, context, layer))
        y_BTD: Tensor = self.feedforward_residual(x_BTD, self.feedforward)
        return y_BTD


class CrossLayer(Layer):
    """A decoder layer with cross-attention between self-attention and the feed-forward network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.cross = CrossAttention(config)
        self.cross_residual = make_residual(config)

    def forward(
        self,
        x_BTD: Tensor,
        context: AttentionContext,
        cross: CrossAttentionContext | None,
        layer: int,
    ) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x_BTD = self.attention_residual(x_BTD, lambda x: self.attention(x, context, layer))
        x_BTD = self.cross_residual(x_BTD, lambda x: self.cross(x, cross, layer))
        y_BTD: Tensor = self.feedforward_residual(x_BTD, self.feedforward)
        return y_BTD


class Stack(nn.Module):
    """A stack of layers, with the positions that they share and an optional final norm."""

    def __init__(
        self, config: TransformerConfig, *, layers: int, causal: bool, cross: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        self.causal = causal
        self.attention_kind = ATTENTION[config.attention]
        self.positions = POSITIONS[config.positions](config, causal=causal)
        kind = CrossLayer if cross else Layer
        self.layers = nn.ModuleList(kind(config) for _ in range(layers))
        self.norm = make_norm(config) if config.final_norm else nn.Identity()

    def forward(
        self,
        x_BTD: Tensor,
        *,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        cache: Cache | None = None,
        longest: int | None = None,
        cross: CrossAttentionContext | None = None,
    ) -> Tensor:
        """(B, T, D) → (B, T, D).

        `positions_BT` None: 0 … T-1 without padding; -1 marks padding. Tokens of other segments do
        not see each other. A cache needs `longest`, the number of tokens of the longest row, the
        new ones included.
        """
        context = self._make_context(x_BTD, positions_BT, cache, longest, segments_BT)
        for number, layer in enumerate(self.layers):
            x_BTD = layer(x_BTD, context, cross, number)
        y_BTD: Tensor = self.norm(x_BTD)
        return y_BTD

    def _make_context(
        self,
        x_BTD: Tensor,
        positions_BT: Tensor | None,
        cache: Cache | None,
        longest: int | None = None,
        segments_BT: Tensor | None = None,
    ) -> AttentionContext:
        """Compute once what all layers share: the mask, the rotation and the cache's slots."""
        unpadded = positions_BT is None and cache is None
        if positions_BT is None:
            positions_BT = torch.arange(x_BTD.size(1), device=x_BTD.device)[None]
        rotation = self.positions.rotation(positions_BT)
        if cache is not None:
            assert longest is not None, "a cache needs the length of the longest row"
            mask = self._make_mask(positions_BT, cache.start_forward(positions_BT, longest))
            return AttentionContext(partial(dense_attention, mask=mask), rotation, cache)
        if segments_BT is not None:
            visible_BTT = masks.same_segment(segments_BT)
            mask = self._make_mask(positions_BT, positions_BT, visible_BTT)
            return AttentionContext(partial(dense_attention, mask=mask), rotation, None)
        return AttentionContext(
            self._choose_attention(positions_BT, rows=len(x_BTD), unpadded=unpadded), rotation, None
        )

    def _choose_attention(
        self, positions_BT: Tensor, *, rows: int, unpadded: bool
    ) -> Callable[..., Tensor]:
        """Return the cheapest attention for whole texts; `unpadded`: none has padding."""
        length = positions_BT.size(1)
        band = None if self.attention_kind.band is None else self.attention_kind.band(self.config)
        if band is not None and band.is_worthwhile(length):
            positions_BT = positions_BT.expand(rows, -1)
            band_mask = make_band_mask(band, positions_BT, self._make_mask, causal=self.causal)
            return partial(banded_attention, band_mask=band_mask)
        is_full = self.attention_kind.pattern is None or (
            band is not None and length <= band.window
        )
        # fused kernels need no mask for these
        if unpadded and is_full and not self.positions.has_bias:
            return partial(dense_attention, causal=self.causal)
        return partial(dense_attention, mask=self._make_mask(positions_BT, positions_BT))

    def _make_mask(
        self, queries_BT: Tensor, keys_BS: Tensor, visible_BTS: Tensor | None = None
    ) -> Tensor:
        """Return the mask of pairs of positions, (B, 1 or H, T or 1, S).

        Booleans (True: may be seen), or with a positional bias numbers to add to the scores. What
        `visible_BTS` hides stays hidden.
        """
        bias = self.positions.bias(queries_BT, keys_BS)
        pattern = self.attention_kind.pattern
        if not self.causal and pattern is None and bias is None and visible_BTS is None:
            return masks.padding(keys_BS)
        if self.causal:
            causal_BTS = masks.causal(queries_BT, keys_BS)
            visible_BTS = causal_BTS if visible_BTS is None else causal_BTS & visible_BTS
        if pattern is not None:
            pattern_BTS = pattern(self.config, queries_BT, keys_BS)
            visible_BTS = pattern_BTS if visible_BTS is None else pattern_BTS & visible_BTS
        mask = masks.mask_padding(queries_BT, keys_BS, visible_BTS)[:, None]
        return mask if bias is None else masks.additive(mask) + bias

    def make_cross_cache(
        self, states_BSD: Tensor, lengths: Sequence[int], positions_BS: Tensor
    ) -> CrossAttentionCache:
        """Compute each layer's keys and values of the encoder's output; `lengths` in tokens."""
        layers = (layer for layer in self.layers if isinstance(layer, CrossLayer))
        cached = [layer.cross.keys_values(states_BSD) for layer in layers]
        return CrossAttentionCache(cached, lengths, masks.padding(positions_BS))


def make_cross_mask(positions_BS: Tensor | None) -> Tensor | None:
    """Return the mask (B, 1, 1, S) that hides the source's padding; None without padding."""
    return None if positions_BS is None else masks.padding(positions_BS)
