"""Softmax attention to the positions that a pattern lets be seen.

Shape suffixes: B batch, T tokens, S keys, H heads, G key heads, K head width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from torch import Tensor

from .. import masks
from ..cache import CacheSize, KeyValueCache
from ..config import TransformerConfig
from ..rotation import rotate
from .dense import dense_attention
from .kinds import AttentionKind
from .mixing import Attend, FastPath, Mixing, Scope, Tokens

# Positions of queries (B, T) and of keys (B, S) to the pairs that see each other, (B, T, S).
Pattern = Callable[[TransformerConfig, Tensor, Tensor], Tensor]


class SoftmaxMixing(NamedTuple):
    """Softmax attention with its mask, the rotation of queries and keys, and the cache of keys."""

    attend: Attend
    scale: float
    rotation: Tensor | None = None
    cache: KeyValueCache | None = None
    softcap: float | None = None  # of scores

    def __call__(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, *, layer: int, dropout: float
    ) -> Tensor:
        """See Mixing."""
        q, k, v = rotate(q_BTHK, self.rotation), rotate(k_BTGK, self.rotation), v_BTGK
        if self.cache is not None:
            k, v = self.cache.update(layer, k, v)
        mixed_BTHK: Tensor = self.attend(
            q, k, v, scale=self.scale, softcap=self.softcap, dropout=dropout
        )
        return mixed_BTHK


@dataclass(frozen=True)
class SoftmaxAttention(AttentionKind[KeyValueCache]):
    """Attention weights `softmax(QKᵀ/√d_k)` over what is seen; arXiv 1706.03762 §3.2.1.

    `pattern` returns the boolean mask (B, T, S) of the pairs of positions that see each other;
    None: all. `fast_path` makes a cheaper way for whole texts, if there is one; `cache` a cache.
    `refuse` raises ConfigError for fields that the pattern cannot have.
    """

    pattern: Pattern | None
    fast_path: Callable[[TransformerConfig], FastPath] | None
    cache: Callable[[TransformerConfig, CacheSize], KeyValueCache]
    refuse: Callable[[TransformerConfig], None] | None = None
    fields: tuple[str, ...] = ()

    def check(self, config: TransformerConfig) -> None:
        """Implement AttentionKind.check: any network can, unless the pattern refuses its fields."""
        if self.refuse is not None:
            self.refuse(config)

    def new_cache(self, config: TransformerConfig, size: CacheSize) -> KeyValueCache:
        """Implement AttentionKind.new_cache."""
        return self.cache(config, size)

    def mixing(
        self, scope: Scope, tokens: Tokens, cache: KeyValueCache | None, longest: int | None
    ) -> Mixing:
        """Implement AttentionKind.mixing: the mask, the rotation and the cache's slots."""
        positions_BT = tokens.positions_BT
        make_mask = partial(self.make_mask, scope)
        attend: Attend
        if cache is not None:
            assert longest is not None, "a cache needs the length of the longest row"
            mask = make_mask(positions_BT, cache.start_forward(positions_BT, longest))
            # kernels add numbers: made once for all layers
            attend = partial(dense_attention, mask=masks.additive(mask))
        elif tokens.segments_BT is not None:
            visible_BTT = masks.same_segment(tokens.segments_BT)
            mask = make_mask(positions_BT, positions_BT, visible_BTT)
            attend = partial(dense_attention, mask=mask)
        else:
            attend = self._choose_attention(scope, tokens)
        rotation = scope.positions.rotation(positions_BT)
        softcap = scope.config.attention_softcap
        return SoftmaxMixing(attend, scope.config.scale, rotation, cache, softcap)

    def _choose_attention(self, scope: Scope, tokens: Tokens) -> Attend:
        """Return the cheapest attention for whole texts."""
        positions_BT, make_mask = tokens.positions_BT, partial(self.make_mask, scope)
        is_full = self.pattern is None
        if self.fast_path is not None:
            path = self.fast_path(scope.config)
            attend = path.attend(scope, tokens, make_mask)
            if attend is not None:
                return attend
            is_full = positions_BT.size(1) <= path.full_length
        # fused kernels need no mask for these
        if tokens.unpadded and is_full and not scope.positions.has_bias:
            return partial(dense_attention, causal=scope.causal)
        return partial(dense_attention, mask=make_mask(positions_BT, positions_BT))

    def make_mask(
        self, scope: Scope, queries_BT: Tensor, keys_BS: Tensor, visible_BTS: Tensor | None = None
    ) -> Tensor:
        """Return the mask of pairs of positions, (B, 1 or H, T or 1, S).

        Booleans (True: may be seen), or with a positional bias numbers to add to the scores. What
        `visible_BTS` hides stays hidden.
        """
        bias = scope.positions.bias(queries_BT, keys_BS)
        if not scope.causal and self.pattern is None and bias is None and visible_BTS is None:
            return masks.padding(keys_BS)
        if scope.causal:
            causal_BTS = masks.causal(queries_BT, keys_BS)
            visible_BTS = causal_BTS if visible_BTS is None else causal_BTS & visible_BTS
        if self.pattern is not None:
            pattern_BTS = self.pattern(scope.config, queries_BT, keys_BS)
            visible_BTS = pattern_BTS if visible_BTS is None else pattern_BTS & visible_BTS
        mask = masks.mask_padding(queries_BT, keys_BS, visible_BTS)[:, None]
        return mask if bias is None else masks.additive(mask) + bias
