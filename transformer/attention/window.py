"""The fast paths of a sliding window: parts merged by their log-sum-exps, or blocks with a mask."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..config import TransformerConfig
from .banded import MIN_BLOCK, Band
from .block_sparse import BlockSparse, of_sizes, window_parts
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
        return BlockSparse(self.band.window, of_sizes(window_parts, self.band.global_tokens))

    def attend(self, scope: Scope, tokens: Tokens, make_mask: MakeMask) -> Attend | None:
        """See FastPath. Where weights are dropped, a band is cheaper."""
        in_band = partial(self.band.attend, scope, tokens, make_mask)
        in_parts = None
        if self.prefers_parts(tokens, causal=scope.causal):
            in_parts = self.parts.attend(scope, tokens, make_mask)
        return in_band() if in_parts is None else partial(_attend, in_parts, _Once(in_band))

    def prefers_parts(self, tokens: Tokens, *, causal: bool) -> bool:
        """Return True if such texts have parts that cost less than a band.

        A window of fewer tokens than MIN_BLOCK has no blocks worth it, and first tokens in parts
        are those of a block.
        """
        band, length = self.band, tokens.positions_BT.size(1)
        has_parts = band.global_tokens <= (band.window if causal else 0)
        on_cpu = tokens.positions_BT.device.type == "cpu" and not torch.compiler.is_compiling()
        if band.window < MIN_BLOCK or not has_parts or not on_cpu or not has_fused_kernel():
            return False
        return self.parts.cost(length, causal=causal) < band.cost(length, causal=causal)


class _Once:
    """A function of no arguments that is called when its result is first needed."""

    def __init__(self, make: Callable[[], Attend | None]) -> None:
        self._make = make
        self._made: Attend | None = None

    def __call__(self) -> Attend | None:
        self._made = self._made or self._make()
        return self._made


def _attend(
    in_parts: Attend,
    make_in_band: _Once,
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
