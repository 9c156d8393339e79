"""Attention functions, and the registry of attention kinds."""

from typing import Any

from torch import Tensor

from .. import masks
from ..cache import RingCache, StaticCache
from ..config import SUMMARY_TOKENS, TransformerConfig
from ..errors import ConfigError
from ..registry import Registry
from .banded import Band, BandMask, banded_attention, make_band_mask
from .block_sparse import BlockSparse, block_sparse_attention, fixed_parts, of_sizes, strided_parts
from .dense import AttentionFunction, dense_attention, eager_attention, sdpa_attention
from .global_tokens import GlobalTokens
from .kinds import AttentionKind
from .linear import LinearAttention, elu_features
from .longformer import LongformerAttention
from .mixing import Mixing, Scope, Tokens
from .random_features import PerformerAttention, RandomFeatures
from .self_attention import SelfAttention, count_attention_parameters
from .softmax import SoftmaxAttention, SoftmaxMixing
from .ssru import SimpleRecurrentUnit, SsruAttention
from .window import WindowPath

__all__ = [
    "ATTENTION",
    "AttentionFunction",
    "AttentionKind",
    "Band",
    "BandMask",
    "BlockSparse",
    "GlobalTokens",
    "Mixing",
    "RandomFeatures",
    "Scope",
    "SelfAttention",
    "SimpleRecurrentUnit",
    "SoftmaxAttention",
    "SoftmaxMixing",
    "Tokens",
    "WindowPath",
    "banded_attention",
    "block_sparse_attention",
    "count_attention_parameters",
    "dense_attention",
    "eager_attention",
    "make_band_mask",
    "names_global_tokens",
    "sdpa_attention",
    "strided_parts",
]


def _sliding_pattern(config: TransformerConfig, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    return masks.sliding_window(
        queries_BT, keys_BS, window=config.window, global_tokens=config.global_tokens
    )


def _strided_pattern(config: TransformerConfig, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    return masks.strided(queries_BT, keys_BS, stride=config.stride)


def _strided_path(config: TransformerConfig) -> BlockSparse:
    return BlockSparse(config.stride, strided_parts)


def _fixed_pattern(config: TransformerConfig, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    return masks.fixed(
        queries_BT, keys_BS, stride=config.stride, summary_tokens=config.summary_tokens
    )


def _fixed_path(config: TransformerConfig) -> BlockSparse:
    return BlockSparse(config.stride, of_sizes(fixed_parts, config.summary_tokens, config.stride))


def _check_fixed(config: TransformerConfig) -> None:
    if config.summary_tokens > config.stride:
        default = " (so many unless set)" if config.summary_tokens == SUMMARY_TOKENS else ""
        raise ConfigError(
            f"summary_tokens is {config.summary_tokens:,}{default}, above stride, "
            f"{config.stride:,}: they are the last ones of a block of that length; set "
            f"model.summary_tokens to at most {config.stride:,}"
        )


_FULL = SoftmaxAttention(None, None, StaticCache)

ATTENTION: Registry[AttentionKind[Any]] = Registry(
    "attention kind",
    {
        "full": _FULL,
        "sliding": SoftmaxAttention(
            _sliding_pattern, WindowPath.of, RingCache, fields=("window", "global_tokens")
        ),
        "strided": SoftmaxAttention(
            _strided_pattern, _strided_path, StaticCache, fields=("stride",)
        ),
        "fixed": SoftmaxAttention(
            _fixed_pattern, _fixed_path, StaticCache, _check_fixed, ("stride", "summary_tokens")
        ),
        "longformer": LongformerAttention(None, None, StaticCache, fields=("window",)),
        "linear": LinearAttention(elu_features, decay=False),
        "linear-decay": LinearAttention(elu_features, decay=True),
        "performer": PerformerAttention(),
        "ssru": SsruAttention(_FULL),
    },
)


def names_global_tokens(config: TransformerConfig) -> bool:
    """Return True for a network with an encoder that is told which tokens are global."""
    layers = map(config.of_layer, range(config.encoder_layers))
    return any(ATTENTION[layer.attention].names_global_tokens for layer in layers)
