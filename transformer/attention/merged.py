"""Attention over a union of parts, each of them dense, merged by their log-sum-exps.

With `out_p` and `lse_p` over disjoint sets p of keys, `lse = log Σ_p exp(lse_p)` and
`out = Σ_p exp(lse_p - lse) · out_p`; gradients of a part are those of dense attention with the
merged out and lse (arXiv 2310.01889 §3). So all is exact, and no scores outside the parts exist.
Shape suffixes: B batch, N blocks of a text, C tokens of a block, H heads, G key heads, K head
width; in a part X problems of a row, M of all rows, S queries or keys.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .kernels import Kernel, Problem, sum_dtype

# From blocks (B, N, C, H, K) to some of their tokens as a view, which gradients are added to:
# (B, X, S, H, K), where S may be of several dimensions.
View = Callable[[Tensor], Tensor]


class DensePart(NamedTuple):
    """Queries, and keys that they see: X dense problems of each text.

    `causal`: a query sees the keys whose rank is not above its own; `flipped`: both are ranked
    from the end. `ahead`: keys may stand after the query, where padding is.
    """

    queries: View
    keys: View
    causal: bool = False
    flipped: bool = False
    ahead: bool = False


def count_pairs(parts: Sequence[DensePart], blocks: int, stride: int) -> tuple[int, int]:
    """Return how many queries the parts of a text have, and how many pairs, half if causal."""
    like_BNCHK = torch.zeros(()).expand(1, blocks, stride, 1, 1)
    queries = [part.queries(like_BNCHK).numel() for part in parts]
    keys = [part.keys(like_BNCHK) for part in parts]
    pairs = (
        count * each.numel() // (each.size(1) * each.size(-2) * (2 if part.causal else 1))
        for part, count, each in zip(parts, queries, keys, strict=True)
    )
    return sum(queries), sum(pairs)


class MergePlan(NamedTuple):
    """Settings of a merge: its parts, the bias of padding keys (B, N, C, H, 1), and the rest."""

    parts: Sequence[DensePart]
    bias: Tensor | None
    scale: float
    dropout: float
    kernel: Kernel


def merged_attention(q_BNCHK: Tensor, k_BNCGK: Tensor, v_BNCGK: Tensor, plan: MergePlan) -> Tensor:
    """Attend over the union of disjoint parts, (B, N, C, H, K); each query is in one at least."""
    mixed: Tensor = _MergedAttention.apply(  # type: ignore[no-untyped-call]
        q_BNCHK, k_BNCGK, v_BNCGK, plan
    )
    return mixed


class _MergedAttention(torch.autograd.Function):
    """Forward and backward pass, part by part: scores live no longer than their part.

    With dropout, its factors of all weights are kept for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, q_BNCHK: Tensor, k_BNCGK: Tensor, v_BNCGK: Tensor, plan: MergePlan
    ) -> Tensor:
        dtype = sum_dtype(q_BNCHK)
        out = torch.zeros(q_BNCHK.shape, dtype=dtype, device=q_BNCHK.device)
        lse = torch.full_like(out[..., :1], float("-inf"))
        ctx.kept = []
        for part in plan.parts:
            problem = _problem(part, q_BNCHK, k_BNCGK, v_BNCGK, plan)
            out_p, lse_p, kept = plan.kernel.forward(problem, plan.dropout)
            _merge(part, out, lse, out_p, lse_p[..., None])
            ctx.kept.append(kept)
        ctx.plan = plan
        ctx.save_for_backward(q_BNCHK, k_BNCGK, v_BNCGK, out, lse)
        return out.to(q_BNCHK.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BNCHK: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, out, lse = ctx.saved_tensors
        grad = grad_BNCHK.to(out.dtype)
        of_q, of_k, of_v = (torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
        for part, kept in zip(ctx.plan.parts, ctx.kept, strict=True):
            problem = _problem(part, q, k, v, ctx.plan)
            grad_p, out_p, lse_p = (_laid_out(part, part.queries, x) for x in (grad, out, lse))
            grads = ctx.plan.kernel.backward(problem, grad_p, out_p, lse_p[..., 0], kept)
            views = (part.queries, part.keys, part.keys)
            for view, total, grad_x in zip(views, (of_q, of_k, of_v), grads, strict=True):
                _add(part, view, total, grad_x)
        return of_q, of_k, of_v, None


def _problem(part: DensePart, q: Tensor, k: Tensor, v: Tensor, plan: MergePlan) -> Problem:
    bias = None
    if part.ahead and plan.bias is not None:
        bias = _laid_out(part, part.keys, plan.bias).transpose(-2, -1)
    keys, values = (_laid_out(part, part.keys, x) for x in (k, v))
    return Problem(_laid_out(part, part.queries, q), keys, values, bias, part.causal, plan.scale)


def _laid_out(part: DensePart, view: View, x_BNCHK: Tensor) -> Tensor:
    """Lay out what a part has of blocks for a kernel, (M, H, S, K)."""
    x_BXSHK = view(x_BNCHK).flatten(2, -3)
    x_BXSHK = x_BXSHK.flip(2) if part.flipped else x_BXSHK
    return x_BXSHK.flatten(0, 1).transpose(1, 2)


def _back(part: DensePart, x_MHSK: Tensor, like_BXSHK: Tensor) -> Tensor:
    """Undo _laid_out, up to the view."""
    x_BXSHK = torch.unflatten(x_MHSK.transpose(1, 2), 0, like_BXSHK.shape[:2])
    x_BXSHK = x_BXSHK.flip(2) if part.flipped else x_BXSHK
    return torch.unflatten(x_BXSHK, 2, like_BXSHK.shape[2:-2])


def _merge(part: DensePart, out: Tensor, lse: Tensor, out_p: Tensor, lse_p: Tensor) -> None:
    """Merge a part into what its queries have so far, in place."""
    into, into_lse = part.queries(out), part.queries(lse)
    lse_p = _back(part, lse_p, into_lse)
    both = torch.logaddexp(into_lse, lse_p)
    into.mul_((into_lse - both).exp_())
    into.addcmul_(_back(part, out_p, into), (lse_p - both).exp_())
    into_lse.copy_(both)


def _add(part: DensePart, view: View, total: Tensor, grad_MHSK: Tensor) -> None:
    into = view(total)
    into.add_(_back(part, grad_MHSK, into))
