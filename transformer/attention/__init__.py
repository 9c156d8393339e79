"""Attention: one door, and the table of kinds behind it."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from .. import masks
from ..cache import Cache, RingCache, StaticCache
from ..config import TransformerConfig
from ..tables import Table
from .exact import Attend, exact, fused, plain

__all__ = ["ATTENTION", "Attend", "AttentionKind", "exact", "fused", "plain"]

Pattern = Callable[[TransformerConfig, Tensor, Tensor], Tensor]
MakeCache = Callable[[TransformerConfig, int, int, Tensor], Cache]


class AttentionKind(NamedTuple):
    """How self-attention is computed, which pairs it leaves out (None: none), what it caches."""

    attend: Attend
    pattern: Pattern | None
    cache: MakeCache


def _sliding(config: TransformerConfig, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
    return masks.near(queries_BT, keys_BS, window=config.window, global_tokens=config.global_tokens)


ATTENTION: Table[AttentionKind] = Table(
    "attention kind",
    {
        "full": AttentionKind(exact, None, StaticCache),
        "sliding": AttentionKind(exact, _sliding, RingCache),
    },
)
