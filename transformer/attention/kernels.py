"""Kernels of dense attention that tell the log-sum-exp of scores, forward and backward.

So attention over several sets of keys can be merged (`merged.py`). Shape suffixes: M problems, R
queries, S keys, H heads, G key heads, K head width.
"""

from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

# Added to scores of padding. Unlike -inf it needs no care where a query sees nothing else: such a
# log-sum-exp has a weight of exactly 0 beside any other.
HIDDEN = -1e30


class Problem(NamedTuple):
    """Queries (M, H, R, K), keys and values (M, G, S, K) of dense attention, and what hides keys.

    `bias`, (M, H, 1, S), is added to scores. `causal`: a query sees keys of its number or less.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    causal: bool
    scale: float


class Kernel(Protocol):
    """An implementation of dense attention that tells the log-sum-exp of its scores."""

    def forward(self, problem: Problem, dropout: float) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return mixed values (M, H, R, K), log-sum-exps (M, H, R), and factors of weights.

        The factors (M, H, R, S) are 0 for those that are dropped; None: none is.
        """
        ...

    def backward(
        self, problem: Problem, grad: Tensor, out: Tensor, lse: Tensor, kept: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return gradients of queries, keys and values, for out and lse over any more keys."""
        ...


class FusedKernel:
    """torch's kernel for CPUs, which never holds all scores. It drops no weights."""

    def forward(self, problem: Problem, dropout: float) -> tuple[Tensor, Tensor, None]:
        """See Kernel."""
        q, k, v, bias, causal, scale = problem
        assert dropout == 0, "the fused kernel drops no weights"
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, causal, attn_mask=bias, scale=scale
        )
        return out, lse, None

    def backward(
        self, problem: Problem, grad: Tensor, out: Tensor, lse: Tensor, kept: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See Kernel."""
        q, k, v, bias, causal, scale = problem
        del kept
        grads: tuple[Tensor, Tensor, Tensor]
        grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, q, k, v, out, lse, 0.0, causal, attn_mask=bias, scale=scale
        )
        return grads


class PlainKernel:
    """Matrix products, on any device and in any dtype: sums are in float32 at least."""

    def forward(self, problem: Problem, dropout: float) -> tuple[Tensor, Tensor, Tensor | None]:
        """See Kernel."""
        scores = _scores(problem)
        lse = scores.logsumexp(dim=-1)
        weights, kept = (scores - lse[..., None]).exp(), None
        if dropout:
            kept = torch.empty_like(weights).bernoulli_(1 - dropout).div_(1 - dropout)
            weights = weights * kept
        v = _repeat_heads(problem.v, problem.q)
        return (weights.to(v.dtype) @ v).to(scores.dtype), lse, kept

    def backward(
        self, problem: Problem, grad: Tensor, out: Tensor, lse: Tensor, kept: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See Kernel."""
        q, scale, groups = problem.q, problem.scale, problem.k.size(1)
        k, v = (_repeat_heads(x, q) for x in (problem.k, problem.v))
        weights = (_scores(problem) - lse[..., None]).exp()
        of_weights = (grad.to(v.dtype) @ v.transpose(-2, -1)).to(weights.dtype)
        dropped = weights
        if kept is not None:
            of_weights, dropped = of_weights * kept, weights * kept
        delta = (grad * out).sum(dim=-1, keepdim=True)
        of_scores = (scale * weights * (of_weights - delta)).to(q.dtype)
        of_k = of_scores.transpose(-2, -1) @ q
        of_v = dropped.to(v.dtype).transpose(-2, -1) @ grad.to(v.dtype)
        of_k, of_v = (torch.unflatten(x, 1, (groups, -1)).sum(dim=2) for x in (of_k, of_v))
        return of_scores @ k, of_k, of_v


def _scores(problem: Problem) -> Tensor:
    q, k, _, bias, causal, scale = problem
    dtype = sum_dtype(q)
    scores = (scale * q.to(dtype)) @ _repeat_heads(k, q).to(dtype).transpose(-2, -1)
    if bias is not None:
        scores = scores + bias
    if causal:
        after = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(after, float("-inf"))
    return scores


def _repeat_heads(x_MGSK: Tensor, q_MHRK: Tensor) -> Tensor:
    return x_MGSK.repeat_interleave(q_MHRK.size(1) // x_MGSK.size(1), dim=1)


def sum_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which scores are summed: float32 at least."""
    return torch.promote_types(x.dtype, torch.float32)


def choose_kernel(device: torch.device, dropout: float) -> Kernel:
    """Return the fused kernel where there is one that does what it is to do."""
    fused = device.type == "cpu" and not dropout and has_fused_kernel()
    return FusedKernel() if fused else PlainKernel()


@cache
def has_fused_kernel() -> bool:
    """Return True if this torch's fused kernel computes what the products do.

    It is no public function: it is tried once, with grouped heads, padding and fewer keys.
    """
    q, k, grad = (
        torch.linspace(-1, end, 2 * heads * size * 3).sin().view(2, heads, size, 3)
        for heads, size, end in ((4, 5, 40), (2, 4, 50), (4, 5, 60))
    )
    bias = torch.zeros(2, 4, 1, 4)
    bias[1, :, :, 2:] = HIDDEN
    problem = Problem(q, k, k.cos(), bias, True, 0.7)
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        wanted = _outputs_and_gradients(PlainKernel(), problem, grad)
        try:
            found = _outputs_and_gradients(FusedKernel(), problem, grad)
        except (AttributeError, RuntimeError, TypeError):
            return False
    return all(torch.allclose(*pair, atol=1e-4) for pair in zip(found, wanted, strict=True))


def _outputs_and_gradients(kernel: Kernel, problem: Problem, grad: Tensor) -> list[Tensor]:
    out, lse, _ = kernel.forward(problem, 0.0)
    wider = lse + 1  # as over more keys
    return [out, lse, *kernel.backward(problem, grad, out / 2, wider, None)]
