"""The fast paths of a sliding window: parts merged by their log-sum-exps, or blocks with a mask."""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

from torch import Tensor

from ..config import TransformerConfig
from .banded import MIN_BLOCK, Band
from .block_sparse import BlockSparse, make_window_parts
from .kernels import has_fused_kernel
from .mixing import Attend, MakeMask, Scope, Tokens


class WindowPath(NamedTuple):
    """Blocks of the window's length, in parts without a mask where these are cheaper than a Band.

    It is a FastPath. Parts need the fused kernel: their scores of pairs are never held, where a
    band holds twice the window for each query, and in an encoder three times.
    """

    band: Band

    @classmethod
    def of(cls, config: TransformerConfig) -> "WindowPath":
        """Return the path of a configuration."""
        return cls(Band(config.window, config.global_tokens))

    @property
    def full_length(self) -> int:
        """See FastPath."""
        return self.band.window

    @property
    def parts(self) -> BlockSparse:
        """The window as a union of parts."""
        return BlockSparse(self.band.window, make_window_parts(self.band.global_tokens))

    def attend(self, scope: Scope, tokens: Tokens, make_mask: MakeMask) -> Attend | None:
        """See FastPath. Where weights are dropped, a band is cheaper."""
        in_band = partial(self.band.attend, scope, tokens, make_mask)
        in_parts = None
        if self.prefers_parts(tokens, causal=scope.causal):
            in_parts = self.parts.attend(scope, tokens, make_mask)
        return partial(_attend, in_parts, cache(in_band)) if in_parts else in_band()

    def prefers_parts(self, tokens: Tokens, *, causal: bool) -> bool:
        """Return True if such texts have parts that cost less than a band.

        A window of fewer tokens than MIN_BLOCK has no blocks worth it. Parts with more first tokens
        than the window has are wrong, and cost more than a band.
        """
        band, length = self.band, tokens.positions_BT.size(1)
        has_parts = band.window >= MIN_BLOCK and (causal or not band.global_tokens)
        if not has_parts or tokens.positions_BT.device.type != "cpu" or not has_fused_kernel():
            return False
        return self.parts.cost(length, causal=causal) < band.cost(length, causal=causal)


def _attend(
    in_parts: Attend,
    make_in_band: Callable[[], Attend | None],
    q_BTHK: Tensor,
    k_BTGK: Tensor,
    v_BTGK: Tensor,
    *,
    scale: float,
    softcap: float | None,
    dropout: float,
) -> Tensor:
    in_band = make_in_band() if dropout else None
    mixed_BTHK: Tensor = (in_band or in_parts)(
        q_BTHK, k_BTGK, v_BTGK, scale=scale, softcap=softcap, dropout=dropout
    )
    return mixed_BTHK
