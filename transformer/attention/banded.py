"""Attention in blocks for a sliding window: T·(2 or 3 blocks) scores instead of T².

Every block of queries sees its own block of keys, the neighbours that the window can reach, and the
global tokens; Longformer, arXiv 2004.05150 §3.1. Texts are contiguous and padded on the right, so
tokens that stand near each other in the text do so in the tensor.
Shape suffixes: B batch, T tokens, N blocks of all rows, C tokens of a block, S keys that a block
sees, H heads, G key heads, K head width.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .exact import exact

# Positions of queries (B, T) and of keys (B, S) to what they may see, (B, 1 or H, T, S).
MakeMask = Callable[[Tensor, Tensor], Tensor]

# Blocks are at least this long: below, the products are too small to gain anything.
SMALLEST_BLOCK = 64


class Band(NamedTuple):
    """The extent of a pattern: positions `window` or more apart do not see each other, except that
    the first `global_tokens` see all and are seen by all."""

    window: int
    global_tokens: int

    def pays(self, length: int) -> bool:
        """Return True where blocks are cheaper than a mask over all pairs."""
        return length > 2 * self.block

    @property
    def block(self) -> int:
        """Queries in a block."""
        return max(self.window, SMALLEST_BLOCK)


class BandMask(NamedTuple):
    """The pairs that a band of one forward pass allows."""

    band: Band
    causal: bool
    mask_NhCS: Tensor  # of each block; h is 1 or H
    first_BhTS: Tensor | None  # of the global tokens, which see all; None: causality says it


def band_mask(band: Band, positions_BT: Tensor, mask: MakeMask, *, causal: bool) -> BandMask:
    """Lay out a band over rows of positions (B, T) with -1 for padding."""
    size, first = band.block, band.global_tokens
    filled_BT = F.pad(positions_BT, (0, -positions_BT.size(1) % size), value=-1)
    queries_BNC = torch.unflatten(filled_BT, 1, (-1, size))
    near_BNS = _neighbours(queries_BNC, causal=causal, value=-1)
    if first:  # which have columns of their own
        near_BNS = near_BNS.masked_fill(near_BNS < first, -1)
        global_BNS = positions_BT[:, None, :first].expand(-1, queries_BNC.size(1), -1)
        near_BNS = torch.cat([global_BNS, near_BNS], dim=2)
    everything = mask(positions_BT[:, :first], positions_BT) if first and not causal else None
    return BandMask(
        band, causal, mask(queries_BNC.flatten(0, 1), near_BNS.flatten(0, 1)), everything
    )


def banded(
    q_BTHK: Tensor,
    k_BTGK: Tensor,
    v_BTGK: Tensor,
    *,
    scale: float,
    seen: BandMask,
    dropout: float = 0.0,
) -> Tensor:
    """Attend within a band: (B, T, H, K), equal to attention under the dense mask."""
    rows, length = q_BTHK.shape[:2]
    band, mask = seen.band, seen.mask_NhCS
    filled = (0, 0, 0, 0, 0, -length % band.block)
    q_BNCHK = torch.unflatten(F.pad(q_BTHK, filled), 1, (-1, band.block))
    blocks = q_BNCHK.size(1)
    k_NSGK, v_NSGK = (_block_keys(x, blocks, seen, filled) for x in (k_BTGK, v_BTGK))
    out_NCHK = exact(q_BNCHK.flatten(0, 1), k_NSGK, v_NSGK, scale=scale, mask=mask, dropout=dropout)
    out_BTHK = torch.unflatten(out_NCHK, 0, (rows, blocks)).flatten(1, 2)[:, :length]
    if seen.first_BhTS is None:
        return out_BTHK
    first, mask = band.global_tokens, seen.first_BhTS
    first_BTHK = exact(q_BTHK[:, :first], k_BTGK, v_BTGK, scale=scale, mask=mask, dropout=dropout)
    return torch.cat([first_BTHK, out_BTHK[:, first:]], dim=1)


def _block_keys(x_BTGK: Tensor, blocks: int, seen: BandMask, filled: tuple[int, ...]) -> Tensor:
    """Lay out the keys or values that each block sees, (N, S, G, K), as the mask's columns are."""
    near = torch.unflatten(F.pad(x_BTGK, filled), 1, (blocks, -1))
    near = _neighbours(near, causal=seen.causal)
    first = seen.band.global_tokens
    if first:
        common = x_BTGK[:, None, :first].expand(-1, blocks, -1, -1, -1)
        near = torch.cat([common, near], dim=2)
    return near.flatten(0, 1)


def _neighbours(x_BNC: Tensor, *, causal: bool, value: int = 0) -> Tensor:
    """Join each block with the one before it, and where not causal the one after it: (B, N, 2C or
    3C, …). `value` fills what lies outside."""
    after = 0 if causal else 1
    blocks, inner = x_BNC.size(1), (0, 0) * (x_BNC.dim() - 2)
    padded = F.pad(x_BNC, (*inner, 1, after), value=value)
    return torch.cat([padded[:, n : n + blocks] for n in range(2 + after)], dim=2)
