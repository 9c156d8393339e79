"""The recurrence `c_t = d_t · c_{t-1} + a_t` of each feature, over all tokens of a text.

In a long text it goes token by token in all chunks at once, then from chunk to chunk, by products
of decays; token by token alone it would be two small kernels for each. Products that underflow are
0, as they should be: nothing is divided by them.
Shape suffixes: B batch, T tokens, S as many as fill chunks, D features, N chunks, C tokens of one.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_WHOLE = 32  # tokens of a text that is not cut into chunks


def scan(decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
    """Return c of every token, (B, T, D), where c before the first one is 0."""
    if torch.compiler.is_compiling():  # which would make each chunk's loop anew for each length
        return _double(decay_BTD, added_BTD)
    states_BTD: Tensor = _Scan.apply(decay_BTD, added_BTD)  # type: ignore[no-untyped-call]
    return states_BTD


def chunk_size(length: int) -> int:
    """Return the tokens of a chunk: about as many as there are chunks, all of a short text.

    Measured on a CPU, forward and backward, 256 features: a text of 8,192 tokens takes a fifth of
    the time of one chunk, 32 of 1,024 a tenth more; by doubling distances they take six to
    seven times as long.
    """
    return length if length <= _WHOLE else math.isqrt(length - 1) + 1


class _Scan(torch.autograd.Function):
    """The recurrence; its gradient is one from the last token to the first."""

    @staticmethod
    def forward(ctx: Any, decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
        """Keep the decays and the states."""
        states_BSD = _recur(decay_BTD, added_BTD)
        ctx.save_for_backward(decay_BTD, states_BSD)
        return states_BSD[:, : added_BTD.size(1)]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Return `g_t · c_{t-1}` and `g_t = ∂c_t + d_{t+1} · g_{t+1}`, of decays and of terms."""
        decay_BTD, states_BSD = ctx.saved_tensors
        length = gradient_BTD.size(1)
        following_BTD = F.pad(decay_BTD[:, 1:], (0, 0, 0, 1))
        g_BTD = _recur(following_BTD, gradient_BTD, backwards=True)[:, :length]
        of_decay_BTD = torch.zeros_like(decay_BTD)
        torch.mul(g_BTD[:, 1:], states_BSD[:, : length - 1], out=of_decay_BTD[:, 1:])
        return of_decay_BTD, g_BTD


def _double(decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
    """Return the states of all tokens in log T passes, each over twice the distance."""
    distance, length = 1, added_BTD.size(1)
    while distance < length:
        before_BTD, left_BTD = (
            F.pad(x[:, :-distance], (0, 0, distance, 0)) for x in (added_BTD, decay_BTD)
        )
        added_BTD = added_BTD + decay_BTD * before_BTD
        decay_BTD = decay_BTD * left_BTD
        distance *= 2
    return added_BTD


def _recur(decay_BTD: Tensor, added_BTD: Tensor, *, backwards: bool = False) -> Tensor:
    """Return the states of all tokens, (B, S, D), each from the one before it, or behind it."""
    size = chunk_size(added_BTD.size(1))
    decay_BNCD, states_BNCD = _cut(decay_BTD, size), _cut(added_BTD, size).clone()
    before, last = (1, 0) if backwards else (-1, -1)
    tokens, chunks = (
        range(count - 2, -1, -1) if backwards else range(1, count)
        for count in (size, states_BNCD.size(1))
    )
    for t in tokens:
        states_BNCD[:, :, t].addcmul_(decay_BNCD[:, :, t], states_BNCD[:, :, t + before])
    if chunks:
        left_BNCD = decay_BNCD.clone()  # of what a chunk began with
        for t in tokens:
            left_BNCD[:, :, t].mul_(left_BNCD[:, :, t + before])
        for n in chunks:
            start_B1D = states_BNCD[:, n + before, last, None]
            states_BNCD[:, n].addcmul_(left_BNCD[:, n], start_B1D)
    return states_BNCD.flatten(1, 2)


def _cut(x_BTD: Tensor, size: int) -> Tensor:
    """Return a text in chunks, (B, N, C, D), with zeros behind its last token."""
    padding = -x_BTD.size(1) % size
    padded = F.pad(x_BTD, (0, 0, 0, padding)) if padding else x_BTD
    return torch.unflatten(padded, 1, (-1, size))
