"""Attention over all pairs of positions, `softmax(QKᵀ/√d_k)V`; arXiv 1706.03762 §3.2.1.

Shape suffixes: B batch, T queries, S keys, H heads, G key heads (H a multiple of G), R queries of
all heads of a group, N rows of all groups, K width.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..masks import additive
from ..soft_cap import soft_cap


class AttentionFunction(Protocol):
    """The interface of attention functions: queries, keys and values to mixed values."""

    def __call__(
        self,
        q_BTHK: Tensor,
        k_BSGK: Tensor,
        v_BSGK: Tensor,
        *,
        scale: float,
        mask: Tensor | None = None,
        causal: bool = False,
        softcap: float | None = None,
        dropout: float = 0.0,
    ) -> Tensor:
        """Return softmax(scale · QKᵀ + mask)V, (B, T, H, K), with dropout on the weights.

        With `softcap`, the scores scale · QKᵀ go through `soft_cap` first.

        `mask` broadcasts to (B, H, T, S): booleans (True: may be seen) or numbers to add to the
        scores. `causal` hides later positions, for T = S and without a mask.
        """
        ...


def _group_heads(
    q_BTHK: Tensor, k_BSGK: Tensor, v_BSGK: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Fold the H/G heads that share keys into the queries of one head, (B, G, H/G·T, K).

    So no key or value is copied (grouped-query attention, arXiv 2305.13245). The mask is laid out
    to match.
    """
    groups = k_BSGK.size(2)
    heads_per_group, length = q_BTHK.size(2) // groups, q_BTHK.size(1)
    if heads_per_group == 1:
        return q_BTHK.transpose(1, 2), k_BSGK.transpose(1, 2), v_BSGK.transpose(1, 2), mask
    q_BGRK = (
        torch.unflatten(q_BTHK, 2, (groups, heads_per_group)).permute(0, 2, 3, 1, 4).flatten(2, 3)
    )
    k_BGSK, v_BGSK = k_BSGK.transpose(1, 2), v_BSGK.transpose(1, 2)
    if mask is not None:
        if mask.size(1) > 1:  # differs from head to head
            mask = mask.expand(-1, -1, length, -1)
            mask = torch.unflatten(mask, 1, (groups, heads_per_group)).flatten(2, 3)
        elif mask.size(2) > 1:
            mask = mask.repeat(1, 1, heads_per_group, 1)
    return q_BGRK, k_BGSK, v_BGSK, mask


def _ungroup_heads(out_BGRK: Tensor, heads: int) -> Tensor:
    """Undo _group_heads: (B, G, H/G·T, K) to (B, T, H, K)."""
    heads_per_group = heads // out_BGRK.size(1)
    if heads_per_group == 1:
        return out_BGRK.transpose(1, 2)
    return torch.unflatten(out_BGRK, 2, (heads_per_group, -1)).permute(0, 3, 1, 2, 4).flatten(2, 3)


# Queries of a row up to which batched products beat the CPU's fused kernel in float32: those of a
# step, of beams that share a source, of a draft.
_FEW_QUERIES = 15

# Heads narrower than this keep to that kernel: with 16 keys torch computes products of them another
# way than with 32, and a text's last bits would depend on how long others are.
_NARROW = 25

# Scores of a head up to which matrix products beat the CPU's fused kernel in bfloat16, whose
# backward pass is up to eight times as slow; above, that kernel is faster in float32.
_MAX_EAGER_SCORES = 1 << 16


def dense_attention(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend by the fastest way for the device and dtype; see AttentionFunction."""
    if softcap is not None:  # fused kernels have none
        return eager_attention(
            q_BTHK,
            k_BSGK,
            v_BSGK,
            scale=scale,
            mask=mask,
            causal=causal,
            softcap=softcap,
            dropout=dropout,
        )
    attend: Callable[..., Tensor] = sdpa_attention
    dtype, on_cpu = q_BTHK.dtype, q_BTHK.device.type == "cpu"
    if on_cpu and dtype == torch.float32 and not torch.is_grad_enabled() and not dropout:
        if q_BTHK.size(1) <= _FEW_QUERIES and q_BTHK.size(3) >= _NARROW:
            attend = batched_attention
    elif on_cpu and dtype == torch.bfloat16 and q_BTHK.requires_grad:
        if q_BTHK.size(1) * k_BSGK.size(1) <= _MAX_EAGER_SCORES:
            attend = eager_attention
        else:
            q_BTHK, k_BSGK, v_BSGK = q_BTHK.float(), k_BSGK.float(), v_BSGK.float()
    out_BTHK = attend(
        q_BTHK, k_BSGK, v_BSGK, scale=scale, mask=mask, causal=causal, dropout=dropout
    )
    return out_BTHK if out_BTHK.dtype == dtype else out_BTHK.to(dtype)


def sdpa_attention(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Attend through torch's fused kernels, which never hold all scores; see AttentionFunction."""
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q_BTHK.dtype)
    if causal:
        return _sdpa_causal(q_BTHK, k_BSGK, v_BSGK, scale=scale, dropout=dropout)
    q, k, v, mask = _group_heads(q_BTHK, k_BSGK, v_BSGK, mask)
    out_BGRK = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale
    )
    return _ungroup_heads(out_BGRK, q_BTHK.size(2))


def _sdpa_causal(
    q_BTHK: Tensor, k_BSGK: Tensor, v_BSGK: Tensor, *, scale: float, dropout: float
) -> Tensor:
    """Attend through the kernels' causal mode, without a mask.

    It needs T queries a head, so the heads of a group are not folded into one.
    """
    q, k, v = (x.transpose(1, 2) for x in (q_BTHK, k_BSGK, v_BSGK))
    heads_per_group = q.size(1) // k.size(1)
    # CUDA's only fused kernel for float32 lacks groups; without copies all scores would be held
    grouped = q.device.type == "cpu" or q.dtype != torch.float32
    enable_gqa = heads_per_group > 1 and grouped
    if heads_per_group > 1 and not grouped:
        k, v = (x.repeat_interleave(heads_per_group, dim=1) for x in (k, v))
    out_BHTK = F.scaled_dot_product_attention(
        q, k, v, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=enable_gqa
    )
    return out_BHTK.transpose(1, 2)


def batched_attention(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Attend by one product for all rows and heads, for few queries; see AttentionFunction.

    Keys and values that are laid out by heads are not copied. There is no dropout.
    """
    assert not dropout, "few queries are those of decoding, which drops nothing"
    if causal:
        mask = _causal_mask(q_BTHK)
    q, k, v, mask = _group_heads(q_BTHK, k_BSGK, v_BSGK, mask)
    shape, slots = q.shape[:3], k.size(2)
    mask = q.new_zeros(1, 1, 1, 1) if mask is None else additive(mask).to(q.dtype)
    mask_NRS = mask.expand(*shape, slots).flatten(0, 1)
    q_NRK, k_NSK, v_NSK = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    scores_NRS = torch.baddbmm(mask_NRS, q_NRK, k_NSK.transpose(1, 2), alpha=scale)
    out_NRK = torch.bmm(scores_NRS.softmax(dim=-1), v_NSK)
    return _ungroup_heads(out_NRK.view(q.shape), q_BTHK.size(2))


def _causal_mask(q_BTHK: Tensor) -> Tensor:
    square = (1, 1, q_BTHK.size(1), q_BTHK.size(1))
    return torch.ones(square, dtype=torch.bool, device=q_BTHK.device).tril()


def eager_attention(
    q_BTHK: Tensor,
    k_BSGK: Tensor,
    v_BSGK: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    causal: bool = False,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend by matrix products, as the equation says; see AttentionFunction.

    For short texts, and as the reference in tests.
    """
    if causal:
        mask = _causal_mask(q_BTHK)
    q, k, v, mask = _group_heads(q_BTHK, k_BSGK, v_BSGK, mask)
    scores_BGRS = soft_cap((scale * q) @ k.transpose(-2, -1), softcap)
    if mask is not None:
        scores_BGRS = scores_BGRS + additive(mask)
    weights_BGRS = scores_BGRS.softmax(dim=-1).to(v.dtype)
    if dropout:
        weights_BGRS = F.dropout(weights_BGRS, dropout)
    return _ungroup_heads(weights_BGRS @ v, q_BTHK.size(2))
