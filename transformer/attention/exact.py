"""Exact attention, `softmax(QKᵀ/√d_k)V`; arXiv 1706.03762 §3.2.1.

Shape suffixes: B batch, T queries, S keys, H heads, G key heads (H a multiple of G), K width.
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


def _by_head(q_BTHK: Tensor, k_BSGK: Tensor, v_BSGK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (x.transpose(1, 2) for x in (q_BTHK, k_BSGK, v_BSGK))
    groups = q.size(1) // k.size(1)
    if groups > 1:
        k, v = (x.repeat_interleave(groups, dim=1) for x in (k, v))
    return q, k, v


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
    q, k, v = _by_head(q_BTHK, k_BSGK, v_BSGK)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q.dtype)
    out_BHTK = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale
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
    q, k, v = _by_head(q_BTHK, k_BSGK, v_BSGK)
    if causal:
        mask = torch.ones(q.size(2), k.size(2), dtype=torch.bool, device=q.device).tril()
    scores_BHTS = (scale * q) @ k.transpose(-2, -1)
    if mask is not None:
        scores_BHTS = scores_BHTS + (additive(mask) if mask.dtype == torch.bool else mask)
    weights_BHTS = scores_BHTS.softmax(dim=-1).to(v.dtype)
    return (F.dropout(weights_BHTS, dropout) @ v).transpose(1, 2)
