"""Exact attention, `softmax(QKᵀ/√d_k)V`; arXiv 1706.03762 §3.2.1.

Shape suffixes: B batch, T queries, S keys, H heads, G key heads (H a multiple of G), R queries of
all heads of a group, K width.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..masks import additive


class Attend(Protocol):
    """The one door: queries, keys and values in, their weighted values out."""

    def __call__(
        self,
        q_BTHK: Tensor,
        k_BSGK: Tensor,
        v_BSGK: Tensor,
        *,
        scale: float,
        mask: Tensor | None = None,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> Tensor:
        """Attend with a mask that broadcasts to (B, H, T, S): booleans (True: seen) or numbers to
        add to the scores. `causal` is the plain triangle, for T = S and no mask. (B, T, H, K)."""
        ...


def _by_group(
    q_BTHK: Tensor, k_BSGK: Tensor, v_BSGK: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Let the H/G heads that share keys stand below one another as queries (B, G, H/G·T, K), so
    that no key or value is copied; arXiv 2305.13245. The mask follows them."""
    groups = k_BSGK.size(2)
    shared, length = q_BTHK.size(2) // groups, q_BTHK.size(1)
    q_BGRK = torch.unflatten(q_BTHK, 2, (groups, shared)).permute(0, 2, 3, 1, 4).flatten(2, 3)
    k_BGSK, v_BGSK = k_BSGK.transpose(1, 2), v_BSGK.transpose(1, 2)
    if mask is not None and shared > 1:
        if mask.size(1) > 1:  # differs from head to head
            mask = mask.expand(-1, -1, length, -1)
            mask = torch.unflatten(mask, 1, (groups, shared)).flatten(2, 3)
        elif mask.size(2) > 1:
            mask = mask.repeat(1, 1, shared, 1)
    return q_BGRK, k_BGSK, v_BGSK, mask


def _by_head(out_BGRK: Tensor, heads: int) -> Tensor:
    """Undo what `_by_group` did to the queries: (B, T, H, K)."""
    shared = heads // out_BGRK.size(1)
    return torch.unflatten(out_BGRK, 2, (shared, -1)).permute(0, 3, 1, 2, 4).flatten(2, 3)


# Up to this many scores a head, matrix products beat the CPU's fused kernel in bfloat16, whose
# backward pass is up to eight times as slow; above, that kernel is better in float32.
_SMALL = 1 << 16


def exact(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Attend by whichever way is fastest here. See Attend."""
    attend, dtype = fused, q_BTHK.dtype
    if dtype == torch.bfloat16 and q_BTHK.device.type == "cpu" and q_BTHK.requires_grad:
        if q_BTHK.size(1) * k_BSGK.size(1) <= _SMALL:
            attend = plain
        else:
            q_BTHK, k_BSGK, v_BSGK = q_BTHK.float(), k_BSGK.float(), v_BSGK.float()
    out_BTHK = attend(
        q_BTHK, k_BSGK, v_BSGK, scale=scale, mask=mask, causal=causal, dropout=dropout
    )
    return out_BTHK.to(dtype)


def fused(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Attend through torch's kernels, which never hold all scores. See Attend."""
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q_BTHK.dtype)
    if causal:
        return _fused_causal(q_BTHK, k_BSGK, v_BSGK, scale=scale, dropout=dropout)
    q, k, v, mask = _by_group(q_BTHK, k_BSGK, v_BSGK, mask)
    out_BGRK = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale
    )
    return _by_head(out_BGRK, q_BTHK.size(2))


def _fused_causal(
    q_BTHK: Tensor, k_BSGK: Tensor, v_BSGK: Tensor, *, scale: float, dropout: float
) -> Tensor:
    """Attend through the plain triangle, which is for T queries a head: heads of a group cannot
    stand below one another here."""
    q, k, v = (x.transpose(1, 2) for x in (q_BTHK, k_BSGK, v_BSGK))
    shared = q.size(1) // k.size(1)
    # CUDA's only kernel for float32 knows no groups: without copies it would hold all scores
    grouped = q.device.type == "cpu" or q.dtype != torch.float32
    if shared > 1 and not grouped:
        k, v = (x.repeat_interleave(shared, dim=1) for x in (k, v))
    out_BHTK = F.scaled_dot_product_attention(
        q, k, v, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=shared > 1 and grouped
    )
    return out_BHTK.transpose(1, 2)


def plain(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Attend by the equation itself: for small texts, for tests, for reading. See Attend."""
    if causal:
        square = (1, 1, q_BTHK.size(1), k_BSGK.size(1))
        mask = torch.ones(square, dtype=torch.bool, device=q_BTHK.device).tril()
    q, k, v, mask = _by_group(q_BTHK, k_BSGK, v_BSGK, mask)
    scores_BGRS = (scale * q) @ k.transpose(-2, -1)
    if mask is not None:
        scores_BGRS = scores_BGRS + (additive(mask) if mask.dtype == torch.bool else mask)
    weights_BGRS = scores_BGRS.softmax(dim=-1).to(v.dtype)
    return _by_head(F.dropout(weights_BGRS, dropout) @ v, q_BTHK.size(2))
