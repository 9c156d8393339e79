"""Linear attention: a feature map in place of the softmax, so that a text costs O(T).

Shape suffixes: B batch, T tokens, H heads, G key heads, K head width.
"""

from collections.abc import Callable
from typing import NamedTuple

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
from .recurrence import (
    CHUNK,
    LinearState,
    Sides,
    mix_all_pairs,
    mix_in_spans,
    mix_one,
    mix_whole,
)
from .state_cache import StateCache

# Queries, keys (B, T, H, K) and values, and the rotation of positions, to features by head.
FeatureMap = Callable[[Tensor, Tensor, Tensor, Tensor | None], Sides]


class LinearMixing(NamedTuple):
    """Linear attention over the tokens of one forward pass."""

    features: FeatureMap | None  # None: each layer puts its own here
    scope: Scope
    tokens: Tokens
    log_decay_H: Tensor | None  # of what is seen, from one token to the next
    rotation: Tensor | None
    cache: StateCache | None

    def __call__(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, *, layer: int, dropout: float
    ) -> Tensor:
        """See Mixing. There are no weights to be dropped."""
        del dropout
        assert self.features is not None, "a layer with features of its own puts them here"
        heads_per_group = q_BTHK.size(2) // k_BTGK.size(2)
        k, v = (x.repeat_interleave(heads_per_group, dim=2) for x in (k_BTGK, v_BTGK))
        with torch.autocast(q_BTHK.device.type, enabled=False):
            sides = self.features(q_BTHK.float(), k.float(), v.float(), self.rotation)
            mixed_BHTK = self._mix(sides, layer)
        return mixed_BHTK.transpose(1, 2).to(v_BTGK.dtype)

    def _mix(self, sides: Sides, layer: int) -> Tensor:
        real_BT = (self.tokens.positions_BT >= 0).expand(sides.q.size(0), -1)
        if not self.tokens.unpadded:
            real_B1T1 = real_BT[:, None, :, None]
            rotated_k = None if sides.rotated_k is None else sides.rotated_k * real_B1T1
            sides = sides._replace(k=sides.k * real_B1T1, rotated_k=rotated_k)
        if self.tokens.segments_BT is not None:
            seen_BTT = same_segment(self.tokens.segments_BT)
            if self.scope.causal:
                order_1T = torch.arange(real_BT.size(1), device=real_BT.device)[None]
                seen_BTT = seen_BTT & causal(order_1T, order_1T)
            return mix_all_pairs(sides, real_BT, seen_BTT, self.log_decay_H)
        if not self.scope.causal:
            return mix_whole(sides)
        if self.cache is None:
            return mix_in_spans(sides, real_BT, None, self.log_decay_H)[0]
        mix = mix_one if real_BT.size(1) == 1 else mix_in_spans
        before = LinearState(*self.cache.states[layer])
        mixed_BHTK, state = mix(sides, real_BT, before, self.log_decay_H)
        self.cache.update(layer, state)
        return mixed_BHTK


class LinearAttention(AttentionKind[StateCache]):
    """Attention weights φ(q)·φ(k) with features of queries and keys; arXiv 2006.16236.

    With `decay`, what is seen fades by γ_h = 1 - 2^(-5-h) from a token to the next in each head,
    as in arXiv 2307.08621 §2.3; in decoders, where there is a direction.
    """

    def __init__(
        self, features: FeatureMap | None, *, decay: bool, name: str = "linear attention"
    ) -> None:
        self._features, self._decay, self._name = features, decay, name

    def check(self, config: TransformerConfig) -> None:
        """Implement AttentionKind.check: there are no scores to add a bias to, or to cap."""
        if config.positions in {"relative", "alibi"}:
            raise ConfigError(
                f"positions are {config.positions}, a bias of attention scores, which "
                f"{self._name} lacks: use rotary, learned or sinusoidal positions, or none"
            )
        if config.attention_softcap is not None:
            raise ConfigError(
                f"attention_softcap is {config.attention_softcap}, and {self._name} has no scores "
                "to cap: leave it unset"
            )

    def lacks(self, config: TransformerConfig, *, causal: bool) -> str:
        """Implement AttentionKind.lacks."""
        del config
        if causal or not self._decay:
            return ""
        return "has no decay, which needs a direction: it is linear attention"

    def count_features(self, config: TransformerConfig) -> int:
        """Return the number of features of a query or key."""
        return config.head_width

    def count_kept(self, config: TransformerConfig, *, causal: bool) -> int:
        """Implement AttentionKind.count_kept: features and, where causal, the sums of chunks."""
        sums = 4 * config.head_width / CHUNK if causal else 0
        kept = config.heads * self.count_features(config) * (3 + sums)
        return super().count_kept(config, causal=causal) + round(kept)

    def new_cache(self, config: TransformerConfig, size: CacheSize) -> StateCache:
        """Implement AttentionKind.new_cache."""
        features, width = self.count_features(config), config.head_width
        sums = torch.zeros(size.rows, config.heads, features, device=size.device)
        products = sums[..., None].repeat(1, 1, 1, width)
        states = [LinearState(products.clone(), sums.clone()) for _ in range(size.layers)]
        return StateCache([*states], kind=self._name)

    def mixing(
        self, scope: Scope, tokens: Tokens, cache: StateCache | None, longest: int | None
    ) -> LinearMixing:
        """Implement AttentionKind.mixing."""
        del longest
        rotation = scope.positions.rotation(tokens.positions_BT)
        decay = self._decay and scope.causal
        device = tokens.positions_BT.device
        log_decay_H = log_decays(scope.config.heads, device) if decay else None
        return LinearMixing(self._features, scope, tokens, log_decay_H, rotation, cache)


def log_decays(heads: int, device: torch.device | None = None) -> Tensor:
    """Return the logarithm of each head's decay, `log(1 - 2^(-5-h))`, (H).

    >>> log_decays(3).exp().tolist()
    [0.96875, 0.984375, 0.9921875]
    """
    return torch.log1p(-torch.exp2(-5.0 - torch.arange(heads, device=device)))


def elu_features(q_BTHK: Tensor, k_BTHK: Tensor, v_BTHK: Tensor, rotation: Tensor | None) -> Sides:
    """Return the features `elu(x) + 1`, which are positive; arXiv 2006.16236 §3.2.1."""
    q, k = F.elu(q_BTHK) + 1, F.elu(k_BTHK) + 1
    sides = [q, k, v_BTHK]
    if rotation is not None:
        sides += [rotate(q, rotation), rotate(k, rotation)]
    return Sides(*(x.transpose(1, 2) for x in sides))
