"""Attention blocks, layers and stacks: the encoder and the decoder of arXiv 1706.03762 figure 1.

Shape suffixes: B batch, T tokens, S keys, D d_model, H heads, G key heads, K head width.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import masks
from .attention import ATTENTION, band_mask, banded, exact
from .cache import Cache, CrossAttentionCache, KeysValues
from .config import TransformerConfig
from .feedforward import FeedForward
from .norms import make_norm, make_residual
from .positions import POSITIONS, rotate
from .uninitialized import Linear


class AttentionContext(NamedTuple):
    """What self-attention may see: made once a forward pass, used by every layer."""

    attend: Callable[..., Tensor]  # attention with its mask, to be given q, k, v, scale, dropout
    rotation: Tensor | None
    cache: Cache | None


class CrossAttentionContext(NamedTuple):
    """The encoder's output for cross-attention: states to project, or what was cached of them."""

    states_BSD: Tensor | None
    cached: list[KeysValues] | None
    mask_B1TS: Tensor | None
    looks: list[Tensor] | None = None  # takes each layer's weights (B, H, T, S), where wanted


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence on itself; queries, keys and values in one matrix."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.head_width
        rows = (config.heads + 2 * config.key_value_heads) * width
        self.qkv = Linear(config.d_model, rows, bias=config.has_attention_bias)
        self.out = Linear(config.heads * width, config.d_model, bias=config.has_attention_bias)

    def forward(self, x_BTD: Tensor, scope: AttentionContext, layer: int) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        config = self.config
        groups = config.key_value_heads
        heads = self.qkv(x_BTD).unflatten(-1, (-1, config.head_width))
        q, k, v = heads.split([config.heads, groups, groups], dim=2)
        q, k = rotate(q, scope.rotation), rotate(k, scope.rotation)
        if scope.cache is not None:
            k, v = scope.cache.update(layer, k, v)
        dropout = config.attention_dropout if self.training else 0.0
        mixed_BTHK = scope.attend(q, k, v, scale=config.scale, dropout=dropout)
        y_BTD: Tensor = self.out(mixed_BTHK.flatten(2))
        return y_BTD


class CrossAttention(nn.Module):
    """Multi-head attention of the decoder on the encoder's output."""

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
        """The encoder's output as keys and values (B, S, G, K), to be computed once a text."""
        heads = self.kv(states_BSD).unflatten(-1, (-1, self.config.head_width))
        k_BSGK, v_BSGK = heads.chunk(2, dim=2)
        return k_BSGK, v_BSGK

    def forward(self, x_BTD: Tensor, scope: CrossAttentionContext, layer: int) -> Tensor:
        """(B, T, D) → (B, T, D). Rows that share a cached text are queries of one row."""
        if scope.cached is not None:
            k, v = scope.cached[layer]
        else:
            assert scope.states_BSD is not None
            k, v = self.keys_values(scope.states_BSD)
        if scope.looks is not None:
            scope.looks.append(self._weights(x_BTD, k, scope.mask_B1TS))
        q_BTHK = self.q(x_BTD).view(len(k), -1, self.config.heads, self.config.head_width)
        mixed_BTHK = exact(
            q_BTHK,
            k,
            v,
            scale=self.config.scale,
            mask=scope.mask_B1TS,
            dropout=self.config.attention_dropout if self.training else 0.0,
        )
        y_BTD: Tensor = self.out(mixed_BTHK.reshape(*x_BTD.shape[:2], -1))
        return y_BTD

    def _weights(self, x_BTD: Tensor, k_BSGK: Tensor, mask_B1TS: Tensor | None) -> Tensor:
        """How much each head looks at each source position, `softmax(QKᵀ/√d_k)`: (B, H, T, S)."""
        q_BTHK = self.q(x_BTD).unflatten(-1, (-1, self.config.head_width))
        k_BSHK = k_BSGK.repeat_interleave(self.config.heads // k_BSGK.size(2), dim=2)
        scores_BHTS = torch.einsum("bthk,bshk->bhts", self.config.scale * q_BTHK, k_BSHK)
        if mask_B1TS is not None:
            scores_BHTS = scores_BHTS + masks.additive(mask_B1TS)
        return scores_BHTS.softmax(dim=-1)


class Layer(nn.Module):
    """Self-attention, then the feed-forward network, each in a residual."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_residual = make_residual(config)
        self.feedforward = FeedForward(config)
        self.feedforward_residual = make_residual(config)

    def forward(
        self,
        x_BTD: Tensor,
        scope: AttentionContext,
        cross: CrossAttentionContext | None,
        layer: int,
    ) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        del cross
        x_BTD = self.attention_residual(x_BTD, lambda x: self.attention(x, scope, layer))
        y_BTD: Tensor = self.feedforward_residual(x_BTD, self.feedforward)
        return y_BTD


class CrossLayer(Layer):
    """A decoder layer that also looks at an encoder's output, between its two other parts."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.cross = CrossAttention(config)
        self.cross_residual = make_residual(config)

    def forward(
        self,
        x_BTD: Tensor,
        scope: AttentionContext,
        cross: CrossAttentionContext | None,
        layer: int,
    ) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x_BTD = self.attention_residual(x_BTD, lambda x: self.attention(x, scope, layer))
        x_BTD = self.cross_residual(x_BTD, lambda x: self.cross(x, cross, layer))
        y_BTD: Tensor = self.feedforward_residual(x_BTD, self.feedforward)
        return y_BTD


class Stack(nn.Module):
    """Layers one on another, with the positions that they share and an optional norm at the end."""

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
        cache: Cache | None = None,
        longest: int | None = None,
        cross: CrossAttentionContext | None = None,
    ) -> Tensor:
        """(B, T, D) → (B, T, D). `positions_BT` None: 0 … T-1, no padding; -1 marks padding. With a
        cache `longest` tokens are in the longest row, the new ones included."""
        scope = self._scope(x_BTD, positions_BT, cache, longest)
        for number, layer in enumerate(self.layers):
            x_BTD = layer(x_BTD, scope, cross, number)
        y_BTD: Tensor = self.norm(x_BTD)
        return y_BTD

    def _scope(
        self,
        x_BTD: Tensor,
        positions_BT: Tensor | None,
        cache: Cache | None,
        longest: int | None = None,
    ) -> AttentionContext:
        plain = positions_BT is None and cache is None
        if positions_BT is None:
            positions_BT = torch.arange(x_BTD.size(1), device=x_BTD.device)[None]
        rotation = self.positions.rotation(positions_BT)
        if cache is not None:
            assert longest is not None, "a cache must know how long the longest row is"
            mask = self._mask(positions_BT, cache.start_forward(positions_BT, longest))
            return AttentionContext(partial(exact, mask=mask), rotation, cache)
        return AttentionContext(
            self._attend(positions_BT, rows=len(x_BTD), plain=plain), rotation, None
        )

    def _attend(self, positions_BT: Tensor, *, rows: int, plain: bool) -> Callable[..., Tensor]:
        """Choose the cheapest way to attend to whole texts; `plain` ones have no padding."""
        length = positions_BT.size(1)
        band = None if self.attention_kind.band is None else self.attention_kind.band(self.config)
        if band is not None and band.pays(length):
            positions_BT = positions_BT.expand(rows, -1)
            seen = band_mask(band, positions_BT, self._mask, causal=self.causal)
            return partial(banded, seen=seen)
        everything = self.attention_kind.pattern is None or (
            band is not None and length <= band.window
        )
        if plain and everything and not self.positions.biased:  # kernels know these without a mask
            return partial(exact, causal=self.causal)
        return partial(exact, mask=self._mask(positions_BT, positions_BT))

    def _mask(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
        """Mask the pairs of positions that see each other, (B, 1 or H, T or 1, S): booleans, or
        numbers to add to the scores."""
        bias = self.positions.bias(queries_BT, keys_BS)
        pattern = self.attention_kind.pattern
        if not self.causal and pattern is None and bias is None:
            return masks.padding(keys_BS)
        seen_BTS = masks.causal(queries_BT, keys_BS) if self.causal else None
        if pattern is not None:
            near_BTS = pattern(self.config, queries_BT, keys_BS)
            seen_BTS = near_BTS if seen_BTS is None else near_BTS & seen_BTS
        mask = masks.mask_padding(queries_BT, keys_BS, seen_BTS)[:, None]
        return mask if bias is None else masks.additive(mask) + bias

    def make_cross_cache(
        self, states_BSD: Tensor, lengths: Sequence[int], positions_BS: Tensor
    ) -> CrossAttentionCache:
        """Each layer's cross keys and values of the encoder's output."""
        layers = (layer for layer in self.layers if isinstance(layer, CrossLayer))
        cached = [layer.cross.keys_values(states_BSD) for layer in layers]
        return CrossAttentionCache(cached, lengths, masks.padding(positions_BS))


def cross_mask(positions_BS: Tensor | None) -> Tensor | None:
    """The mask (B, 1, 1, S) that hides the source's padding; None where there is none."""
    return None if positions_BS is None else masks.padding(positions_BS)
