"""Exact attention, `softmax(QKᵀ/√d_k)V`; arXiv 1706.03762 §3.2.1.

Shape suffixes: B batch, T queries, S keys, H heads, G key heads (H a multiple of G), K width.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


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
    """Attend through torch's fused kernels. See Attend."""
    q, k, v = _by_head(q_BTHK, k_BSGK, v_BSGK)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q.dtype)
    out_BHTK = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal, scale=scale
    )
    return out_BHTK.transpose(1, 2)


def reference(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Attend by the plain equation, for tests and for reading. See Attend."""
    q, k, v = _by_head(q_BTHK, k_BSGK, v_BSGK)
    scores_BHTS = scale * q @ k.transpose(-2, -1)
    if causal:
        mask = torch.ones_like(scores_BHTS, dtype=torch.bool).tril()
    if mask is not None and mask.dtype == torch.bool:
        scores_BHTS = scores_BHTS.masked_fill(~mask, float("-inf"))
    elif mask is not None:
        scores_BHTS = scores_BHTS + mask
    weights_BHTS = F.dropout(scores_BHTS.softmax(dim=-1), dropout)
    return (weights_BHTS @ v).transpose(1, 2)
