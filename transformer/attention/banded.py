"""Block-wise attention within a sliding window: T·(2 or 3 blocks) scores instead of T².

Each block of queries sees its own block of keys, the neighboring blocks that the window can reach,
and the global tokens; Longformer, arXiv 2004.05150 §3.1. Texts are contiguous and padded on the
right, so tokens that are neighbors in the text are neighbors in the tensor.
Shape suffixes: B batch, T tokens, N blocks of all rows, C tokens of a block, S keys that a block
sees, H heads, h either H or 1, G key heads, K head width.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .dense import dense_attention
from .global_tokens import GlobalTokens
from .mixing import Attend, MakeMask, Scope, Tokens

# The smallest block, in tokens: products of smaller ones are too small to gain anything.
MIN_BLOCK = 64


class Band(NamedTuple):
    """The extent of a pattern: positions `window` or more apart do not see each other.

    The first `global_tokens` see all positions and are seen by all. It is a FastPath.
    """

    window: int
    global_tokens: int

    @property
    def full_length(self) -> int:
        """See FastPath."""
        return self.window

    def attend(self, scope: Scope, tokens: Tokens, make_mask: MakeMask) -> Attend | None:
        """See FastPath. A positional bias is part of the mask."""
        if not self.is_worthwhile(tokens.positions_BT.size(1)):
            return None
        positions_BT = tokens.positions_BT.expand(tokens.rows, -1)
        global_tokens = GlobalTokens.first(self.global_tokens, positions_BT)
        band_mask = make_band_mask(
            self, positions_BT, make_mask, causal=scope.causal, global_tokens=global_tokens
        )
        return partial(banded_attention, band_mask=band_mask)

    def is_worthwhile(self, length: int) -> bool:
        """Return True if blocks are cheaper than a dense mask for texts of `length` tokens."""
        return length > 2 * self.block

    def cost(self, length: int, *, causal: bool) -> int:
        """Return the number of pairs that blocks of a text of `length` tokens have."""
        neighbors = 2 if causal else 3
        return -(-length // self.block) * self.block * neighbors * self.block

    @property
    def block(self) -> int:
        """Number of queries in a block."""
        return max(self.window, MIN_BLOCK)


class BandMask(NamedTuple):
    """The mask of a band, laid out in blocks; made once a forward pass."""

    band: Band
    causal: bool
    global_tokens: GlobalTokens
    mask_NhCS: Tensor  # of each block: of global tokens, then of the blocks around it
    # Of the global tokens' queries; None without any, if causal, or where others attend for them.
    global_mask_BhTS: Tensor | None


def make_band_mask(
    band: Band,
    positions_BT: Tensor,
    make_mask: MakeMask,
    *,
    causal: bool,
    global_tokens: GlobalTokens,
    make_global_mask: MakeMask | None = None,
) -> BandMask:
    """Lay out the mask of a band in blocks, for positions (B, T) with -1 for padding.

    Global tokens have columns of their own, and are hidden in the blocks. `make_global_mask` is for
    pairs with one of them; unset, it is `make_mask`.
    """
    make_global_mask = make_global_mask or make_mask
    near_BT = positions_BT
    if global_tokens.most:
        near_BT = near_BT.masked_fill(global_tokens.mark(near_BT), -1)
    queries_BNC, near_BNC = (_in_blocks(x, band.block, value=-1) for x in (positions_BT, near_BT))
    queries_NC = queries_BNC.flatten(0, 1)
    near_NS = _join_neighbors(near_BNC, causal=causal, value=-1).flatten(0, 1)
    mask_NhCS, global_mask_BhTS = make_mask(queries_NC, near_NS), None
    if global_tokens.most:
        global_positions = global_tokens.positions(positions_BT)
        repeated = global_positions.repeat_interleave(queries_BNC.size(1), dim=0)
        mask_NhCS = torch.cat([make_global_mask(queries_NC, repeated), mask_NhCS], dim=-1)
        if not causal:
            global_mask_BhTS = make_global_mask(global_positions, positions_BT)
    return BandMask(band, causal, global_tokens, mask_NhCS, global_mask_BhTS)


def banded_attention(
    q_BTHK: Tensor,
    k_BTGK: Tensor,
    v_BTGK: Tensor,
    *,
    scale: float,
    band_mask: BandMask,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend within a band, (B, T, H, K): equal to dense attention with the pattern's mask."""
    rows, length = q_BTHK.shape[:2]
    attend = partial(dense_attention, scale=scale, softcap=softcap, dropout=dropout)
    q_BNCHK = _in_blocks(q_BTHK, band_mask.band.block)
    k_NSGK, v_NSGK = (_gather_block_keys(x, band_mask) for x in (k_BTGK, v_BTGK))
    out_NCHK = attend(q_BNCHK.flatten(0, 1), k_NSGK, v_NSGK, mask=band_mask.mask_NhCS)
    out_BTHK = torch.unflatten(out_NCHK, 0, (rows, -1)).flatten(1, 2)[:, :length]
    if band_mask.global_mask_BhTS is None:
        return out_BTHK
    global_tokens, mask = band_mask.global_tokens, band_mask.global_mask_BhTS
    seeing_all = attend(global_tokens.gather(q_BTHK), k_BTGK, v_BTGK, mask=mask)
    return global_tokens.put(out_BTHK, seeing_all)


def _gather_block_keys(x_BTGK: Tensor, band_mask: BandMask) -> Tensor:
    """Gather the keys or values that each block sees, (N, S, G, K), in the mask's order."""
    blocks = _in_blocks(x_BTGK, band_mask.band.block)
    neighbors = _join_neighbors(blocks, causal=band_mask.causal)
    global_tokens = band_mask.global_tokens
    if global_tokens.most:
        shared = global_tokens.gather(x_BTGK)[:, None].expand(-1, blocks.size(1), -1, -1, -1)
        neighbors = torch.cat([shared, neighbors], dim=2)
    return neighbors.flatten(0, 1)


def _in_blocks(x_BT: Tensor, block: int, *, value: int = 0) -> Tensor:
    """Cut (B, T, …) into blocks of tokens, (B, N, C, …); `value` fills the last one."""
    inner_dims = (0, 0) * (x_BT.dim() - 2)
    padded_BT = F.pad(x_BT, (*inner_dims, 0, -x_BT.size(1) % block), value=value)
    return torch.unflatten(padded_BT, 1, (-1, block))


def _join_neighbors(x_BNC: Tensor, *, causal: bool, value: int = 0) -> Tensor:
    """Join each block with the one before and, unless causal, the one after: (B, N, 2C or 3C, …).

    `value` fills the blocks beyond the ends.
    """
    after = 0 if causal else 1
    blocks, inner_dims = x_BNC.size(1), (0, 0) * (x_BNC.dim() - 2)
    padded = F.pad(x_BNC, (*inner_dims, 1, after), value=value)
    return torch.cat([padded[:, n : n + blocks] for n in range(2 + after)], dim=2)
