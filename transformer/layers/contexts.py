"""Contexts of self-attention in a forward pass: one for all layers of a stack that are alike.

Shape suffixes: B batch, T tokens, S keys, D d_model, H heads.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .. import masks
from ..attention import ATTENTION, banded_attention, dense_attention, make_band_mask
from ..cache import Cache, CacheSize, SelfAttentionCache
from ..config import TransformerConfig
from ..positions import POSITIONS, Positions


class AttentionContext(NamedTuple):
    """Mask, rotation and cache of self-attention: made once a forward pass, used by many layers."""

    attend: Callable[..., Tensor]  # with its mask; takes q, k, v, scale and dropout
    rotation: Tensor | None
    cache: Cache | None


class Tokens(NamedTuple):
    """The tokens of a forward pass: where they stand, and what part of a text they belong to."""

    positions_BT: Tensor  # -1 for padding; (1, T) where all rows have the same
    rows: int
    segments_BT: Tensor | None  # tokens of other segments do not see each other
    unpadded: bool  # True where it is known that none is padding

    @classmethod
    def of(
        cls, x_BTD: Tensor, positions_BT: Tensor | None, segments_BT: Tensor | None = None
    ) -> "Tokens":
        """Return the tokens of what a stack reads; without positions, they are 0 … T-1."""
        if positions_BT is not None:
            return cls(positions_BT, len(x_BTD), segments_BT, unpadded=False)
        counted_BT = torch.arange(x_BTD.size(1), device=x_BTD.device)[None]
        return cls(counted_BT, len(x_BTD), segments_BT, unpadded=True)


class LayerGroup:
    """The layers of a stack that are alike: their configuration, and what they see of each other.

    `positions` have no weights but those of the stack's own.
    """

    def __init__(
        self, config: TransformerConfig, positions: Positions, *, layers: int, causal: bool
    ) -> None:
        self.config, self.positions, self.layers = config, positions, layers
        self.causal = causal
        self.kind = ATTENTION[config.attention]

    def new_cache(self, rows: int, size: int, device: torch.device, dtype: torch.dtype) -> Cache:
        """Return an empty cache of the group's layers, for `rows` texts of up to `size` tokens."""
        return self.kind.cache(self.config, CacheSize(self.layers, rows, size, device, dtype))

    def context(self, tokens: Tokens, cache: Cache | None, longest: int | None) -> AttentionContext:
        """Compute once what the layers share: the mask, the rotation and the cache's slots."""
        positions_BT = tokens.positions_BT
        rotation = self.positions.rotation(positions_BT)
        if cache is not None:
            assert longest is not None, "a cache needs the length of the longest row"
            mask = self.make_mask(positions_BT, cache.start_forward(positions_BT, longest))
            return AttentionContext(partial(dense_attention, mask=mask), rotation, cache)
        if tokens.segments_BT is not None:
            visible_BTT = masks.same_segment(tokens.segments_BT)
            mask = self.make_mask(positions_BT, positions_BT, visible_BTT)
            return AttentionContext(partial(dense_attention, mask=mask), rotation, None)
        return AttentionContext(self._choose_attention(tokens), rotation, None)

    def _choose_attention(self, tokens: Tokens) -> Callable[..., Tensor]:
        """Return the cheapest attention for whole texts."""
        positions_BT = tokens.positions_BT
        length = positions_BT.size(1)
        band = None if self.kind.band is None else self.kind.band(self.config)
        if band is not None and band.is_worthwhile(length):
            positions_BT = positions_BT.expand(tokens.rows, -1)
            band_mask = make_band_mask(band, positions_BT, self.make_mask, causal=self.causal)
            return partial(banded_attention, band_mask=band_mask)
        is_full = self.kind.pattern is None or (band is not None and length <= band.window)
        # fused kernels need no mask for these
        if tokens.unpadded and is_full and not self.positions.has_bias:
            return partial(dense_attention, causal=self.causal)
        return partial(dense_attention, mask=self.make_mask(positions_BT, positions_BT))

    def make_mask(
        self, queries_BT: Tensor, keys_BS: Tensor, visible_BTS: Tensor | None = None
    ) -> Tensor:
        """Return the mask of pairs of positions, (B, 1 or H, T or 1, S).

        Booleans (True: may be seen), or with a positional bias numbers to add to the scores. What
        `visible_BTS` hides stays hidden.
        """
        bias = self.positions.bias(queries_BT, keys_BS)
        pattern = self.kind.pattern
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


class LayerGroups:
    """The layers of a stack in groups of those that are alike, in the order of their first ones.

    `of` has the group of each layer, and `ranks` its number within that.
    """

    def __init__(
        self, config: TransformerConfig, positions: Positions, *, layers: int, causal: bool
    ) -> None:
        configs = [config.of_layer(number) for number in range(layers)]
        kinds = list(dict.fromkeys(configs))
        self.of = [kinds.index(each) for each in configs]
        self.ranks = [self.of[:number].count(group) for number, group in enumerate(self.of)]
        self.groups = [
            LayerGroup(
                kind,
                positions if _same_positions(kind, config) else _own_positions(kind, causal=causal),
                layers=configs.count(kind),
                causal=causal,
            )
            for kind in kinds
        ]

    def configs(self) -> Iterator[tuple[TransformerConfig, int]]:
        """Yield each layer's configuration, and its number within its group."""
        for group, rank in zip(self.of, self.ranks, strict=True):
            yield self.groups[group].config, rank

    def new_cache(
        self, rows: int, size: int, device: torch.device, dtype: torch.dtype
    ) -> SelfAttentionCache:
        """Return an empty cache of all layers, for `rows` texts of up to `size` tokens."""
        return SelfAttentionCache(
            [group.new_cache(rows, size, device, dtype) for group in self.groups]
        )

    def contexts(
        self, tokens: Tokens, cache: SelfAttentionCache | None, longest: int | None
    ) -> Sequence[AttentionContext]:
        """Return each layer's context, the same for those of a group."""
        caches = [None] * len(self.groups) if cache is None else cache.parts
        made = [
            group.context(tokens, part, longest)
            for group, part in zip(self.groups, caches, strict=True)
        ]
        return [made[group] for group in self.of]


def _same_positions(kind: TransformerConfig, config: TransformerConfig) -> bool:
    fields = ("positions", "rotary_base", "rotary_scaling")
    return all(getattr(kind, name) == getattr(config, name) for name in fields)


def _own_positions(config: TransformerConfig, *, causal: bool) -> Positions:
    return POSITIONS[config.positions](config, causal=causal)
