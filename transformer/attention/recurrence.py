"""Sums over earlier tokens, which linear attention has in place of scores of all pairs.

Shape suffixes: B batch, T tokens, N chunks, C tokens of a chunk, H heads, M features, K head width.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..masks import causal

CHUNK = 64  # tokens that see each other through products of all pairs
# Tokens of which all chunks are computed at once. In longer texts buffers would be of sizes that a
# C library does not keep: measured five times as slow for 32,768 tokens as for half as many.
SPAN = 8192
_LEAST = torch.finfo(torch.float32).tiny  # of a sum of weights, which is 0 for padding alone


class Sides(NamedTuple):
    """Features of queries and keys, (B, H, T, M) each, and values, (B, H, T, K).

    Weights are products of features. Where these are rotated, the sum of weights is still that of
    the plain ones, which are positive; arXiv 2104.09864 §3.3. Keys of padding are 0.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    rotated_q: Tensor | None = None  # None: features are not rotated
    rotated_k: Tensor | None = None

    def weights_and_totals(self, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights of all pairs (…, T, T), times factors, and their sums (…, T, 1)."""
        plain = self.q @ self.k.transpose(-2, -1) * factors
        totals = plain.sum(dim=-1, keepdim=True)
        if self.rotated_q is None or self.rotated_k is None:
            return plain, totals
        return self.rotated_q @ self.rotated_k.transpose(-2, -1) * factors, totals

    def in_chunks(self, size: int) -> "Sides":
        """Return them as (B, H, N, C, …), with zeros behind the last token."""
        padding = -self.q.size(2) % size

        def cut(x: Tensor) -> Tensor:
            return torch.unflatten(F.pad(x, (0, 0, 0, padding)), 2, (-1, size))

        q, k, v, rotated_q, rotated_k = self
        if rotated_q is None or rotated_k is None:
            return Sides(cut(q), cut(k), cut(v))
        return Sides(cut(q), cut(k), cut(v), cut(rotated_q), cut(rotated_k))


class LinearState(NamedTuple):
    """All that later tokens see of earlier ones: sums over them, in float32."""

    products_BHMK: Tensor  # of keys' features and values
    features_BHM: Tensor  # of keys


def mix_all_pairs(
    sides: Sides, real_BT: Tensor, seen_BTT: Tensor, log_decay_H: Tensor | None
) -> Tensor:
    """Mix values by the weights of all pairs that are seen: the definition, which costs O(T²).

    `o_i = Σ_j γ^(i-j) φ(q_i)·φ(k_j) v_j / Σ_j γ^(i-j) φ(q_i)·φ(k_j)`; arXiv 2006.16236 §3.2.
    """
    factors = seen_BTT[:, None]
    if log_decay_H is not None:
        factors = factors * _decay_between(log_decay_H[:, None] * real_BT.cumsum(dim=1)[:, None])
    weights_BHTT, total_BHT1 = sides.weights_and_totals(factors)
    return weights_BHTT @ sides.v / total_BHT1.clamp(min=_LEAST)


def mix_whole(sides: Sides) -> Tensor:
    """Mix the values of a whole text for each of its tokens, in both directions: O(T)."""
    q, k, v, rotated_q, rotated_k = sides
    products_BHMK = (k if rotated_k is None else rotated_k).transpose(-2, -1) @ v
    total_BHT1 = q @ k.sum(dim=2)[..., None]
    return (q if rotated_q is None else rotated_q) @ products_BHMK / total_BHT1.clamp(min=_LEAST)


def mix_in_spans(
    sides: Sides, real_BT: Tensor, state: LinearState | None, log_decay_H: Tensor | None
) -> tuple[Tensor, LinearState]:
    """Mix the values of earlier tokens; return them and the state at the text's end: O(T)."""
    if real_BT.size(1) <= SPAN:
        return mix_in_chunks(sides, real_BT, state, log_decay_H)
    q, k, v, rotated_q, rotated_k = sides
    parts = [torch.split(x, SPAN, dim=2) for x in (q, k, v)]
    if rotated_q is not None and rotated_k is not None:
        parts += [torch.split(x, SPAN, dim=2) for x in (rotated_q, rotated_k)]
    mixed = []
    for real_BS, *span in zip(torch.split(real_BT, SPAN, dim=1), *parts, strict=True):
        mixed_BHSK, state = mix_in_chunks(Sides(*span), real_BS, state, log_decay_H)
        mixed.append(mixed_BHSK)
    assert state is not None
    return torch.cat(mixed, dim=2), state


def mix_in_chunks(
    sides: Sides, real_BT: Tensor, state: LinearState | None, log_decay_H: Tensor | None
) -> tuple[Tensor, LinearState]:
    """Mix the values of a span, all chunks at once; return them and the state at its end.

    With b the sum of log γ from a chunk's start, a chunk gives `(e^b Q)S + (QKᵀ ∘ e^(b_i-b_j))V`
    and leaves the state `e^(b_C) S + (e^(b_C-b) K)ᵀV`; arXiv 2307.08621 §2.2.
    """
    length = sides.q.size(2)
    size = min(CHUNK, length)
    chunks = sides.in_chunks(size)
    order_1C = torch.arange(size, device=real_BT.device)[None]
    factors = causal(order_1C, order_1C)
    decay = None
    if log_decay_H is not None:  # padding takes no time
        real_BNC = torch.unflatten(F.pad(real_BT, (0, -length % size)), 1, (-1, size))
        b_BHNC = log_decay_H[:, None, None] * real_BNC.cumsum(dim=2)[:, None]
        decay = _Decay(b_BHNC.exp()[..., None], (b_BHNC[..., -1:] - b_BHNC).exp()[..., None])
        factors = factors * _decay_between(b_BHNC)
    weights, totals = chunks.weights_and_totals(factors)
    q, k, v, rotated_q, rotated_k = chunks
    before, last = _states(k, k if rotated_k is None else rotated_k, v, decay, state)
    seen = (q if rotated_q is None else rotated_q) @ before.products_BHMK
    seen_total = q @ before.features_BHM[..., None]
    if decay is not None:
        seen, seen_total = decay.since * seen, decay.since * seen_total
    mixed = (weights @ v + seen) / (totals + seen_total).clamp(min=_LEAST)
    return mixed.flatten(2, 3)[:, :, :length], last


def mix_one(
    sides: Sides, real_B1: Tensor, state: LinearState, log_decay_H: Tensor | None
) -> tuple[Tensor, LinearState]:
    """Mix the values of earlier tokens and of one more: the recurrence itself."""
    q, k, v, rotated_q, rotated_k = sides
    products = (k if rotated_k is None else rotated_k).transpose(-2, -1) @ v
    features = k[:, :, 0]
    if log_decay_H is None:
        state = LinearState(state.products_BHMK + products, state.features_BHM + features)
    else:
        kept_BH1 = (log_decay_H * real_B1).exp()[..., None]
        state = LinearState(
            kept_BH1[..., None] * state.products_BHMK + products,
            kept_BH1 * state.features_BHM + features,
        )
    total = q @ state.features_BHM[..., None]
    seen = (q if rotated_q is None else rotated_q) @ state.products_BHMK
    return seen / total.clamp(min=_LEAST), state


class _Decay(NamedTuple):
    """Shares that are left of a chunk's start at each token, and of each token at its end."""

    since: Tensor  # (B, H, N, C, 1)
    until: Tensor


def _states(
    k: Tensor, rotated_k: Tensor, v: Tensor, decay: _Decay | None, state: LinearState | None
) -> tuple[LinearState, LinearState]:
    """Return the states before all chunks, (B, H, N, …), and that after the last one."""
    if decay is not None:
        k, rotated_k = decay.until * k, decay.until * rotated_k
    added = (rotated_k.transpose(-2, -1) @ v, k.sum(dim=3))
    starts = state or tuple(x.new_zeros(x[:, :, 0].shape) for x in added)
    before, last = [], []
    for start, sums in zip(starts, added, strict=True):
        kept = None if decay is None else decay.since[..., -1, 0]
        states = _running_sums(start, sums, kept)
        before.append(states[:, :, :-1])
        last.append(states[:, :, -1])
    return LinearState(*before), LinearState(*last)


def _running_sums(start: Tensor, sums: Tensor, kept_BHN: Tensor | None) -> Tensor:
    """Return `s ← kept · s + sum` from the start on, (B, H, N + 1, …)."""
    if kept_BHN is None:
        return torch.cat([start[:, :, None], sums], dim=2).cumsum(dim=2)
    states = [start]
    kept = kept_BHN.view(*kept_BHN.shape, *[1] * (sums.dim() - 3))
    # one split of each: gradients of many slices would each be as long as the text
    for share, more in zip(kept.unbind(2), sums.unbind(2), strict=True):
        states.append(share * states[-1] + more)
    return torch.stack(states, dim=2)


def _decay_between(b: Tensor) -> Tensor:
    """Return `γ^(i-j)` of all pairs, (…, T, T); at most 1, which pairs in the future have."""
    return (b[..., :, None] - b[..., None, :]).clamp(max=0).exp()
