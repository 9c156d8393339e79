"""Attention functions, and the registry of attention kinds."""

from typing import Any

from torch import Tensor

from .. import masks
from ..cache import RingCache, StaticCache
from ..config import TransformerConfig
from ..registry import Registry
from .banded import Band, BandMask, banded_attention, make_band_mask
from .dense import AttentionFunction, dense_attention, eager_attention, sdpa_attention
from .kinds import AttentionKind
from .linear import LinearAttention, elu_features
from .mixing import Mixing, Scope, Tokens
from .random_features import PerformerAttention, RandomFeatures
from .self_attention import SelfAttention, count_attention_parameters
from .softmax import SoftmaxAttention, SoftmaxMixing

__all__ = [
    "ATTENTION",
    "AttentionFunction",
    "AttentionKind",
    "Band",
    "BandMask",
    "Mixing",
    "RandomFeatures",
    "Scope",
    "SelfAttention",
    "SoftmaxAttention",
    "SoftmaxMixing",
    "Tokens",
    "banded_attention",
    "count_attention_parameters",
    "dense_attention",
    "eager_attention",
    "make_band_mask",
    "sdpa_attention",
]


def _sliding_pattern(config: TransformerConfig, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    return masks.sliding_window(
        queries_BT, keys_BS, window=config.window, global_tokens=config.global_tokens
    )


def _sliding_band(config: TransformerConfig) -> Band:
    return Band(config.window, config.global_tokens)


ATTENTION: Registry[AttentionKind[Any]] = Registry(
    "attention kind",
    {
        "full": SoftmaxAttention(None, None, StaticCache),
        "sliding": SoftmaxAttention(_sliding_pattern, _sliding_band, RingCache),
        "linear": LinearAttention(elu_features, decay=False),
        "linear-decay": LinearAttention(elu_features, decay=True),
        "performer": PerformerAttention(),
    },
)
