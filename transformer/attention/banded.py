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
        band_mask = make_band_mask(self, positions_BT, make_mask, causal=scope.causal)
        return partial(banded_attention, band_mask=band_mask)

    def is_worthwhile(self, length: int) -> bool:
        """Return True if blocks are cheaper than a dense mask for texts of `length` tokens."""
        return length > 2 * self.block

    @property
    def block(self) -> int:
        """Number of queries in a block."""
        return max(self.window, MIN_BLOCK)


class BandMask(NamedTuple):
    """The mask of a band, laid out in blocks; made once a forward pass."""

    band: Band
    causal: bool
    mask_NhCS: Tensor  # of each block
    global_mask_BhTS: Tensor | None  # of the global tokens' queries; None without any, or if causal


def make_band_mask(
    band: Band, positions_BT: Tensor, make_mask: MakeMask, *, causal: bool
) -> BandMask:
    """Lay out the mask of a band in blocks, for positions (B, T) with -1 for padding."""
    block, global_tokens = band.block, band.global_tokens
    padded_BT = F.pad(positions_BT, (0, -positions_BT.size(1) % block), value=-1)
    queries_BNC = torch.unflatten(padded_BT, 1, (-1, block))
    near_BNS = _join_neighbors(queries_BNC, causal=causal, value=-1)
    if global_tokens:  # have columns of their own
        near_BNS = near_BNS.masked_fill(near_BNS < global_tokens, -1)
        global_BNS = positions_BT[:, None, :global_tokens].expand(-1, queries_BNC.size(1), -1)
        near_BNS = torch.cat([global_BNS, near_BNS], dim=2)
    global_BhTS = (
        make_mask(positions_BT[:, :global_tokens], positions_BT)
        if global_tokens and not causal
        else None
    )
    return BandMask(
        band, causal, make_mask(queries_BNC.flatten(0, 1), near_BNS.flatten(0, 1)), global_BhTS
    )


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
    band, mask = band_mask.band, band_mask.mask_NhCS
    padding = (0, 0, 0, 0, 0, -length % band.block)
    q_BNCHK = torch.unflatten(F.pad(q_BTHK, padding), 1, (-1, band.block))
    blocks = q_BNCHK.size(1)
    k_NSGK, v_NSGK = (_gather_block_keys(x, blocks, band_mask, padding) for x in (k_BTGK, v_BTGK))
    attend = partial(dense_attention, scale=scale, softcap=softcap, dropout=dropout)
    out_NCHK = attend(q_BNCHK.flatten(0, 1), k_NSGK, v_NSGK, mask=mask)
    out_BTHK = torch.unflatten(out_NCHK, 0, (rows, blocks)).flatten(1, 2)[:, :length]
    if band_mask.global_mask_BhTS is None:
        return out_BTHK
    global_tokens, mask = band.global_tokens, band_mask.global_mask_BhTS
    global_BTHK = attend(q_BTHK[:, :global_tokens], k_BTGK, v_BTGK, mask=mask)
    return torch.cat([global_BTHK, out_BTHK[:, global_tokens:]], dim=1)


def _gather_block_keys(
    x_BTGK: Tensor, blocks: int, band_mask: BandMask, padding: tuple[int, ...]
) -> Tensor:
    """Gather the keys or values that each block sees, (N, S, G, K), in the mask's order."""
    neighbors = torch.unflatten(F.pad(x_BTGK, padding), 1, (blocks, -1))
    neighbors = _join_neighbors(neighbors, causal=band_mask.causal)
    global_tokens = band_mask.band.global_tokens
    if global_tokens:
        shared = x_BTGK[:, None, :global_tokens].expand(-1, blocks, -1, -1, -1)
        neighbors = torch.cat([shared, neighbors], dim=2)
    return neighbors.flatten(0, 1)


def _join_neighbors(x_BNC: Tensor, *, causal: bool, value: int = 0) -> Tensor:
    """Join each block with the one before and, unless causal, the one after: (B, N, 2C or 3C, …).

    `value` fills the blocks beyond the ends.
    """
    after = 0 if causal else 1
    blocks, inner_dims = x_BNC.size(1), (0, 0) * (x_BNC.dim() - 2)
    padded = F.pad(x_BNC, (*inner_dims, 1, after), value=value)
    return torch.cat([padded[:, n : n + blocks] for n in range(2 + after)], dim=2)
