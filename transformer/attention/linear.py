"""Linear attention: a feature map in place of the softmax, so that a text costs O(T).

Shape suffixes: B batch, T tokens, C tokens of a chunk, H heads, G key heads, K head width.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ..cache import CacheSize
from ..config import TransformerConfig
from ..errors import ConfigError
from ..masks import causal, same_segment
from ..rotation import rotate
from .kinds import AttentionKind
from .mixing import Scope, Tokens

CHUNK = 64  # tokens that see each other through products of all pairs
_LEAST = 1e-30  # of a sum of weights, which is 0 for padding alone


class LinearState(NamedTuple):
    """All that later tokens see of earlier ones: sums over them, in float32."""

    products_BHKK: Tensor  # of keys' features and values
    features_BHK: Tensor  # of keys


class LinearCache:
    """A cache of constant size: the state of each layer. It cannot forget single tokens."""

    def __init__(self, config: TransformerConfig, size: CacheSize) -> None:
        shape = (size.rows, config.heads, config.head_width)
        make = torch.zeros(shape, device=size.device)
        self.states = [
            LinearState(make[..., None].repeat(1, 1, 1, config.head_width), make.clone())
            for _ in range(size.layers)
        ]

    def reorder(self, rows: Sequence[int]) -> None:
        """See Cache."""
        rows_R = torch.tensor(rows, dtype=torch.long, device=self.states[0].features_BHK.device)
        self.states = [LinearState(*(part[rows_R] for part in state)) for state in self.states]

    def append_rows(self, other: Self) -> None:
        """See Cache."""
        self.states = [
            LinearState(*(torch.cat(parts) for parts in zip(mine, theirs, strict=True)))
            for mine, theirs in zip(self.states, other.states, strict=True)
        ]

    def truncate(self, length: int) -> None:
        """Raise ConfigError: sums do not tell one token from another."""
        raise ConfigError(
            "linear attention's cache cannot take tokens back, which speculative decoding needs; "
            "use greedy search or sampling"
        )


class LinearMixing(NamedTuple):
    """Linear attention over the tokens of one forward pass."""

    features: Callable[[Tensor], Tensor]
    scope: Scope
    tokens: Tokens
    log_decay_H: Tensor | None  # of what is seen, from one token to the next
    rotation: Tensor | None
    cache: LinearCache | None

    def __call__(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, *, layer: int, dropout: float
    ) -> Tensor:
        """See Mixing. There are no weights to be dropped."""
        del dropout
        heads_per_group = q_BTHK.size(2) // k_BTGK.size(2)
        k, v = (x.repeat_interleave(heads_per_group, dim=2) for x in (k_BTGK, v_BTGK))
        with torch.autocast(q_BTHK.device.type, enabled=False):
            mixed_BTHK = self._mix(q_BTHK.float(), k.float(), v.float(), layer)
        return mixed_BTHK.to(v_BTGK.dtype)

    def _mix(self, q_BTHK: Tensor, k_BTHK: Tensor, v_BTHK: Tensor, layer: int) -> Tensor:
        real_BT = (self.tokens.positions_BT >= 0).expand(q_BTHK.size(0), -1)
        q, k = self.features(q_BTHK), self.features(k_BTHK) * real_BT[:, :, None, None]
        sides = Sides(q, k, rotate(q, self.rotation), rotate(k, self.rotation), v_BTHK)
        if self.tokens.segments_BT is not None:
            seen_BTT = same_segment(self.tokens.segments_BT)
            if self.scope.causal:
                seen_BTT = seen_BTT & _before(real_BT)
            return mix_all_pairs(sides, real_BT, seen_BTT, self.log_decay_H)
        if not self.scope.causal:
            return mix_whole(sides)
        state = None if self.cache is None else self.cache.states[layer]
        mixed_BTHK, state = mix_in_chunks(sides, real_BT, state, self.log_decay_H)
        if self.cache is not None:
            self.cache.states[layer] = state
        return mixed_BTHK


class Sides(NamedTuple):
    """Features of queries and keys, as they are and rotated, and values; (B, T, H, K) each.

    Weights are products of rotated features, and their sum is that of the plain ones, which are
    positive; arXiv 2104.09864 §3.3. Features of padding keys are 0.
    """

    q: Tensor
    k: Tensor
    rotated_q: Tensor
    rotated_k: Tensor
    v: Tensor

    def chunks(self, size: int) -> Iterator["Sides"]:
        """Yield the sides of some tokens after another, (B, H, C, K) each."""
        # one split of each: gradients of many slices would each be as long as the text
        yield from map(Sides, *(torch.split(x.transpose(1, 2), size, dim=2) for x in self))


def mix_all_pairs(
    sides: Sides, real_BT: Tensor, seen_BTT: Tensor, log_decay_H: Tensor | None
) -> Tensor:
    """Mix values by the weights of all pairs that are seen: the definition, which costs O(T²).

    `o_i = Σ_j γ^(i-j) φ(q_i)·φ(k_j) v_j / Σ_j γ^(i-j) φ(q_i)·φ(k_j)`; arXiv 2006.16236 §3.2.
    """
    ((q, k, rotated_q, rotated_k, v),) = sides.chunks(real_BT.size(1))
    factors_BHTT = seen_BTT[:, None] * _decay_between(real_BT, log_decay_H)
    weights_BHTT = rotated_q @ rotated_k.transpose(-2, -1) * factors_BHTT
    total_BHT1 = (q @ k.transpose(-2, -1) * factors_BHTT).sum(dim=-1, keepdim=True)
    return (weights_BHTT @ v / total_BHT1.clamp(min=_LEAST)).transpose(1, 2)


def mix_whole(sides: Sides) -> Tensor:
    """Mix the values of a whole text for each of its tokens, in both directions: O(T)."""
    products_BHKK = torch.einsum("bthk,bthv->bhkv", sides.rotated_k, sides.v)
    total_BTH = torch.einsum("bthk,bhk->bth", sides.q, sides.k.sum(dim=1))
    mixed_BTHK = torch.einsum("bthk,bhkv->bthv", sides.rotated_q, products_BHKK)
    return mixed_BTHK / total_BTH.clamp(min=_LEAST)[..., None]


def mix_in_chunks(
    sides: Sides, real_BT: Tensor, state: LinearState | None, log_decay_H: Tensor | None
) -> tuple[Tensor, LinearState]:
    """Mix the values of earlier tokens, chunk by chunk; return them and the state at the end: O(T).

    With b the sum of log γ from a chunk's start, a chunk gives `(e^b Q)S + (QKᵀ ∘ e^(b_i-b_j))V`
    and leaves the state `e^(b_C) S + (e^(b_C-b) K)ᵀV`; arXiv 2307.08621 §2.2.
    """
    rows, _, heads, width = sides.q.shape
    if state is None:
        zeros = sides.q.new_zeros(rows, heads, width)
        state = LinearState(zeros[..., None].expand(-1, -1, -1, width), zeros)
    mixed = []
    for real_BC, chunk in zip(torch.split(real_BT, CHUNK, dim=1), sides.chunks(CHUNK), strict=True):
        q, k, rotated_q, rotated_k, v = chunk
        factors_BHCC = _before(real_BC)[:, None] * _decay_between(real_BC, log_decay_H)
        since_BHC, until_BHC = _decay_across(real_BC, log_decay_H)
        values = (rotated_q @ rotated_k.transpose(-2, -1) * factors_BHCC) @ v
        values = values + since_BHC[..., None] * (rotated_q @ state.products_BHKK)
        total_BHC = (q @ k.transpose(-2, -1) * factors_BHCC).sum(dim=-1)
        total_BHC = total_BHC + since_BHC * (q @ state.features_BHK[..., None])[..., 0]
        mixed.append(values / total_BHC.clamp(min=_LEAST)[..., None])
        kept_BH1 = since_BHC[..., -1:]
        state = LinearState(
            kept_BH1[..., None] * state.products_BHKK
            + (until_BHC[..., None] * rotated_k).transpose(-2, -1) @ v,
            kept_BH1 * state.features_BHK + (until_BHC[..., None] * k).sum(dim=2),
        )
    return torch.cat(mixed, dim=2).transpose(1, 2), state


def _before(real_BT: Tensor) -> Tensor:
    """Return the mask (B or 1, T, T) by which a token sees itself and those before it."""
    order_1T = torch.arange(real_BT.size(1), device=real_BT.device)[None]
    return causal(order_1T, order_1T)


def _counted(real_BT: Tensor, log_decay_H: Tensor) -> Tensor:
    """Return the sum of log γ up to each token, (B, H, T): padding takes no time."""
    return log_decay_H[:, None] * real_BT.cumsum(dim=1)[:, None]


def _decay_between(real_BT: Tensor, log_decay_H: Tensor | None) -> Tensor:
    """Return `γ^(i-j)` of all pairs, (B, H, T, T); at most 1, which pairs in the future have."""
    if log_decay_H is None:
        return real_BT.new_ones((1, 1, 1, 1), dtype=torch.float32)
    b_BHT = _counted(real_BT, log_decay_H)
    return (b_BHT[..., :, None] - b_BHT[..., None, :]).clamp(max=0).exp()


def _decay_across(real_BC: Tensor, log_decay_H: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return `e^b`, from the chunk's start to each token, and `e^(b_C-b)`, from there to its end.

    They are (B, H, C) each.
    """
    if log_decay_H is None:
        ones = real_BC.new_ones((1, 1, real_BC.size(1)), dtype=torch.float32)
        return ones, ones
    b_BHC = _counted(real_BC, log_decay_H)
    return b_BHC.exp(), (b_BHC[..., -1:] - b_BHC).exp()


class LinearAttention(AttentionKind[LinearCache]):
    """Attention weights φ(q)·φ(k) with features of queries and keys; arXiv 2006.16236.

    With `decay`, what is seen fades by γ_h = 1 - 2^(-5-h) from a token to the next in each head,
    as in arXiv 2307.08621 §2.3; in decoders, where there is a direction.
    """

    def __init__(self, features: Callable[[Tensor], Tensor], *, decay: bool) -> None:
        self._features, self._decay = features, decay

    def check(self, config: TransformerConfig) -> None:
        """Implement AttentionKind.check: there are no scores to add a bias to, or to cap."""
        if config.positions in {"relative", "alibi"}:
            raise ConfigError(
                f"positions are {config.positions}, a bias of attention scores, which linear "
                "attention lacks: use rotary, learned or sinusoidal positions, or none"
            )
        if config.attention_softcap is not None:
            raise ConfigError("linear attention has no scores: attention_softcap must be unset")

    def new_cache(self, config: TransformerConfig, size: CacheSize) -> LinearCache:
        """Implement AttentionKind.new_cache."""
        return LinearCache(config, size)

    def mixing(
        self, scope: Scope, tokens: Tokens, cache: LinearCache | None, longest: int | None
    ) -> LinearMixing:
        """Implement AttentionKind.mixing."""
        del longest
        rotation = scope.positions.rotation(tokens.positions_BT)
        log_decay_H = None
        if self._decay and scope.causal:
            log_decay_H = torch.tensor(
                log_decays(scope.config.heads), device=tokens.positions_BT.device
            )
        return LinearMixing(self._features, scope, tokens, log_decay_H, rotation, cache)


def log_decays(heads: int) -> list[float]:
    """Return the logarithm of each head's decay, `log(1 - 2^(-5-h))`.

    >>> [round(math.exp(decay), 4) for decay in log_decays(3)]
    [0.9688, 0.9844, 0.9922]
    """
    return [math.log1p(-(2.0 ** (-5 - head))) for head in range(heads)]


def elu_features(x: Tensor) -> Tensor:
    """Return `elu(x) + 1`, which is positive; arXiv 2006.16236 §3.2.1."""
    return F.elu(x) + 1
