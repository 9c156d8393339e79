"""Attention functions, and the registry of attention kinds."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from .. import masks
from ..cache import Cache, CacheSize, RingCache, StaticCache
from ..config import TransformerConfig
from ..registry import Registry
from .banded import Band, BandMask, banded_attention, make_band_mask
from .dense import AttentionFunction, dense_attention, eager_attention, sdpa_attention

__all__ = [
    "ATTENTION",
    "AttentionFunction",
    "AttentionKind",
    "Band",
    "BandMask",
    "banded_attention",
    "dense_attention",
    "eager_attention",
    "make_band_mask",
    "sdpa_attention",
]

# Positions of queries (B, T) and of keys (B, S) to the pairs that see each other, (B, T, S).
Pattern = Callable[[TransformerConfig, Tensor, Tensor], Tensor]
MakeCache = Callable[[TransformerConfig, CacheSize], Cache]


class AttentionKind(NamedTuple):
    """A kind of self-attention.

    `pattern` returns the boolean mask (B, T, S) of the pairs of positions that see each other;
    None: all. `band` is the extent of the pattern, where it is one. `cache` makes a cache of
    some layers.
    """

    pattern: Pattern | None
    band: Callable[[TransformerConfig], Band] | None
    cache: MakeCache


def _sliding_pattern(config: TransformerConfig, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    return masks.sliding_window(
        queries_BT, keys_BS, window=config.window, global_tokens=config.global_tokens
    )


def _sliding_band(config: TransformerConfig) -> Band:
    return Band(config.window, config.global_tokens)


ATTENTION: Registry[AttentionKind] = Registry(
    "attention kind",
    {
        "full": AttentionKind(None, None, StaticCache),
        "sliding": AttentionKind(_sliding_pattern, _sliding_band, RingCache),
    },
)
