"""Windows and global tokens with projections of their own: Longformer, arXiv 2004.05150 §3.1.

A token sees those in its window and the global tokens. A global token sees all, by queries, keys
and values of its own maps. Which tokens are global is an input; in decoders there are none, and a
position sees all before it.
Shape suffixes: B batch, T tokens, S keys, D d_model, H heads, h either H or 1, G key heads, K head
width; of global tokens: X of a row, and of all rows as in `global_tokens_BG`.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .. import masks
from ..cache import KeyValueCache
from ..config import TransformerConfig
from ..errors import ConfigError
from ..rotation import rotate
from .banded import Band, banded_attention, make_band_mask
from .dense import dense_attention
from .global_tokens import GlobalTokens
from .mixing import Attend, HeadMixing, Mixing, Scope, Tokens
from .self_attention import (
    SelfAttention,
    count_attention_parameters,
    count_qkv_parameters,
    make_qkv,
)
from .softmax import SoftmaxAttention, SoftmaxMixing


class LongformerMixing(NamedTuple):
    """Softmax attention of all tokens but the global ones, and what these need beside it."""

    local: SoftmaxMixing
    global_tokens: GlobalTokens
    global_mask_BhXT: Tensor | None  # of their queries; None: they see all

    def __call__(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, *, layer: int, dropout: float
    ) -> Tensor:
        """See Mixing."""
        return self.local(q_BTHK, k_BTGK, v_BTGK, layer=layer, dropout=dropout)

    def replace_global(
        self,
        mixed_BTHK: Tensor,
        q_BTHK: Tensor,
        k_BTGK: Tensor,
        v_BTGK: Tensor,
        *,
        dropout: float,
    ) -> Tensor:
        """Return mixed values in which those of global tokens are of these queries and keys."""
        q, k = rotate(q_BTHK, self.local.rotation), rotate(k_BTGK, self.local.rotation)
        values_BXHK = dense_attention(
            self.global_tokens.gather(q),
            k,
            v_BTGK,
            scale=self.local.scale,
            mask=self.global_mask_BhXT,
            softcap=self.local.softcap,
            dropout=dropout,
        )
        return self.global_tokens.put(mixed_BTHK, values_BXHK)


class GlobalSelfAttention(SelfAttention):
    """Multi-head self-attention with a further map to global tokens' queries, keys and values."""

    fused = ("qkv", "global_qkv")

    def __init__(self, config: TransformerConfig, rank: int = 0) -> None:
        super().__init__(config, rank)
        self.global_qkv = make_qkv(config)

    def mix(self, x_BTD: Tensor, mixing: HeadMixing) -> Tensor:
        """See SelfAttention."""
        assert isinstance(mixing, LongformerMixing)
        mixed_BTHK = super().mix(x_BTD, mixing)
        if not mixing.global_tokens.most:
            return mixed_BTHK
        global_heads = self.heads(self.global_qkv(x_BTD))
        return mixing.replace_global(mixed_BTHK, *global_heads, dropout=self.dropout)


class LongformerAttention(SoftmaxAttention):
    """A window and global tokens in encoders, full attention in the decoders beside them."""

    names_global_tokens = True

    def check(self, config: TransformerConfig) -> None:
        """Implement AttentionKind.check."""
        if config.shape == "decoder":
            raise ConfigError(
                "longformer attention is for encoders; in a decoder use sliding attention, "
                "with global_tokens"
            )

    def build(self, config: TransformerConfig, rank: int, *, causal: bool) -> SelfAttention:
        """Implement AttentionKind.build."""
        return SelfAttention(config, rank) if causal else GlobalSelfAttention(config, rank)

    def count_parameters(self, config: TransformerConfig, *, causal: bool) -> int:
        """Implement AttentionKind.count_parameters."""
        further = 0 if causal else count_qkv_parameters(config)
        return count_attention_parameters(config) + further

    def mixing(
        self, scope: Scope, tokens: Tokens, cache: KeyValueCache | None, longest: int | None
    ) -> Mixing:
        """Implement AttentionKind.mixing."""
        if scope.causal:
            return super().mixing(scope, tokens, cache, longest)
        positions_BT = tokens.positions_BT.expand(tokens.rows, -1)
        tokens = tokens._replace(positions_BT=positions_BT)
        global_tokens = _global_tokens(tokens)
        attend, mask = self._choose(scope, tokens, global_tokens)
        rotation = scope.positions.rotation(positions_BT)
        config = scope.config
        local = SoftmaxMixing(attend, config.scale, rotation, softcap=config.attention_softcap)
        return LongformerMixing(local, global_tokens, mask)

    def _choose(
        self, scope: Scope, tokens: Tokens, global_tokens: GlobalTokens
    ) -> tuple[Attend, Tensor | None]:
        """Return the cheapest attention of local tokens, and the mask of the global ones."""
        positions_BT, band = tokens.positions_BT, Band(scope.config.window, 0)
        length, window_mask = positions_BT.size(1), partial(self._window_mask, scope)
        if tokens.segments_BT is None and band.is_worthwhile(length):
            band_mask = make_band_mask(
                band,
                positions_BT,
                window_mask,
                causal=False,
                global_tokens=global_tokens,
                make_global_mask=partial(self._mask_of_all, scope),
            )
            local_mask = band_mask._replace(global_mask_BhTS=None)
            attend = partial(banded_attention, band_mask=local_mask)
            return attend, band_mask.global_mask_BhTS
        is_plain = tokens.unpadded and tokens.segments_BT is None and not scope.positions.has_bias
        if is_plain and length <= band.full_length:  # fused kernels need no mask for these
            return dense_attention, None
        same_BTT = None if tokens.segments_BT is None else masks.same_segment(tokens.segments_BT)
        is_global_BT = global_tokens.mark(positions_BT)
        mask = window_mask(positions_BT, positions_BT, is_global_BT, same_BTT)
        global_positions = global_tokens.positions(positions_BT)
        same_BXT = None if same_BTT is None else global_tokens.gather(same_BTT)
        global_mask = self._mask_of_all(scope, global_positions, positions_BT, same_BXT)
        return partial(dense_attention, mask=mask), global_mask

    def _window_mask(
        self,
        scope: Scope,
        queries_BT: Tensor,
        keys_BS: Tensor,
        is_global_BS: Tensor | None = None,
        within_BTS: Tensor | None = None,
    ) -> Tensor:
        """Return the mask of queries that see a window and global tokens, `within` a segment."""
        seen_BTS = masks.sliding_window(
            queries_BT, keys_BS, window=scope.config.window, global_tokens=0
        )
        if is_global_BS is not None:
            seen_BTS = seen_BTS | is_global_BS[:, None]
        if within_BTS is not None:
            seen_BTS = seen_BTS & within_BTS
        return self.make_mask(scope, queries_BT, keys_BS, seen_BTS)

    def _mask_of_all(
        self, scope: Scope, queries_BT: Tensor, keys_BS: Tensor, within_BTS: Tensor | None = None
    ) -> Tensor:
        """Return the mask of pairs that see each other wherever they are, `within` a segment."""
        if within_BTS is None:
            within_BTS = queries_BT.new_ones((1, 1, 1), dtype=torch.bool)
        return self.make_mask(scope, queries_BT, keys_BS, within_BTS)


def _global_tokens(tokens: Tokens) -> GlobalTokens:
    """Return the global tokens that are given, or else the first of each text."""
    if tokens.global_tokens_BG is not None:
        return GlobalTokens(tokens.global_tokens_BG)
    positions_BT = tokens.positions_BT
    if tokens.segments_BT is None:
        return GlobalTokens.first(1, positions_BT)
    counted_T = torch.arange(positions_BT.size(1), device=positions_BT.device)
    return GlobalTokens(torch.where(positions_BT == 0, counted_T, -1))
