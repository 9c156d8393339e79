"""Attention: one door, and the table of kinds behind it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .. import masks
from ..cache import Cache, RingCache, StaticCache
from ..config import TransformerConfig
from ..registry import Registry
from .banded import Band, BandMask, band_mask, banded
from .exact import Attend, exact, fused, plain

__all__ = [
    "ATTENTION",
    "Attend",
    "AttentionKind",
    "Band",
    "BandMask",
    "band_mask",
    "banded",
    "exact",
    "fused",
    "plain",
]

Pattern = Callable[[TransformerConfig, Tensor, Tensor], Tensor]
MakeCache = Callable[[TransformerConfig, int, int, torch.device, torch.dtype], Cache]


class AttentionKind(NamedTuple):
    """A kind of self-attention: the pairs that it leaves out (None: none), the band in which those
    that are left lie, and its cache."""

    pattern: Pattern | None
    band: Callable[[TransformerConfig], Band] | None
    cache: MakeCache


def _sliding(config: TransformerConfig, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    return masks.sliding_window(
        queries_BT, keys_BS, window=config.window, global_tokens=config.global_tokens
    )


def _sliding_band(config: TransformerConfig) -> Band:
    return Band(config.window, config.global_tokens)


ATTENTION: Registry[AttentionKind] = Registry(
    "attention kind",
    {
        "full": AttentionKind(None, None, StaticCache),
        "sliding": AttentionKind(_sliding, _sliding_band, RingCache),
    },
)
