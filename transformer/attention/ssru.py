"""The simpler simple recurrent unit, SSRU, in place of a decoder's self-attention.

`f_t = σ(W x_t + b)`, `c_t = f_t · c_{t-1} + (1 - f_t) · V x_t`, and ReLU(c_t) is what a layer
writes into the residual stream; Kim et al. 2019, From Research to Production and Back, §3.1
(aclanthology.org/D19-5632). W and V are one map, and none follows. As in other kinds,
`attention_bias` decides on the biases of the map: the paper has that of W alone.
Shape suffixes: B batch, T tokens, D d_model, R outputs of the map.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..cache import CacheSize, KeyValueCache
from ..config import TransformerConfig
from ..errors import ConfigError
from ..uninitialized import Linear, count_linear_parameters
from .kinds import AttentionKind
from .mixing import Mixing, RecurrentMixing, Scope, Tokens
from .scan import scan
from .state_cache import StateCache

_OF_HEADS = ("kv_heads", "d_head", "qk_norm", "attention_scale", "attention_softcap")
_OF_QUERIES = frozenset({"rotary", "alibi"})  # positions that act on queries and keys alone


class SimpleRecurrentUnit(nn.Module):
    """A recurrent unit in place of attention, with one map for its gate and its value.

    `rank` is its number among the layers that are as it is, which share a cache.
    """

    def __init__(self, config: TransformerConfig, rank: int = 0) -> None:
        super().__init__()
        self.rank = rank
        rows, bias = 2 * config.d_model, config.has_attention_bias
        self.gate_value = Linear(config.d_model, rows, bias=bias)

    def forward(self, x_BTD: Tensor, mixing: RecurrentMixing) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        return mixing(self.gate_value(x_BTD), layer=self.rank)


class SsruMixing(NamedTuple):
    """The recurrence over the tokens of one forward pass. It is a RecurrentMixing."""

    padding_BT1: Tensor | None  # which takes no time
    starts_BT1: Tensor | None  # tokens that begin a segment, and see none before
    cache: StateCache | None

    def __call__(self, gate_value_BTR: Tensor, *, layer: int) -> Tensor:
        """Return ReLU(c), (B, T, D), of the gate's and the value's maps side by side."""
        with torch.autocast(gate_value_BTR.device.type, enabled=False):
            gate_BTD, value_BTD = gate_value_BTR.float().chunk(2, dim=-1)
            kept_BTD = gate_BTD.sigmoid()
            if self.padding_BT1 is not None:
                kept_BTD = kept_BTD.masked_fill(self.padding_BT1, 1.0)
            states_BTD = self._states(kept_BTD, value_BTD, layer)
            return states_BTD.relu().to(gate_value_BTR.dtype)

    def _states(self, kept_BTD: Tensor, value_BTD: Tensor, layer: int) -> Tensor:
        """Return c of all tokens; with a cache, from its state on."""
        if self.cache is None:
            decay = kept_BTD
            if self.starts_BT1 is not None:
                decay = kept_BTD.masked_fill(self.starts_BT1, 0.0)
            return scan(decay, (1 - kept_BTD) * value_BTD)
        (state_BD,) = self.cache.states[layer]
        if kept_BTD.size(1) == 1:
            states_BTD = torch.lerp(value_BTD, state_BD[:, None], kept_BTD)
        else:
            added_BTD = (1 - kept_BTD) * value_BTD
            added_BTD[:, 0].addcmul_(kept_BTD[:, 0], state_BD)
            states_BTD = scan(kept_BTD, added_BTD)
        self.cache.update(layer, (states_BTD[:, -1],))
        return states_BTD


class SsruAttention(AttentionKind[StateCache]):
    """The SSRU in decoders; full attention in encoders beside them, which have no direction."""

    def __init__(self, full: AttentionKind[KeyValueCache]) -> None:
        self._full = full

    def check(self, config: TransformerConfig) -> None:
        """Implement AttentionKind.check."""
        if config.shape == "encoder":
            raise ConfigError("ssru attention is for decoders; in an encoder use full attention")
        if config.positions == "relative":
            raise ConfigError(
                "positions are relative, a bias of attention scores, which ssru attention lacks: "
                "use another kind of positions, or none"
            )

    def lacks(self, config: TransformerConfig, *, causal: bool) -> str:
        """Implement AttentionKind.lacks."""
        if not causal:
            return "is full attention, for a recurrence has a direction"
        unread = [f"positions ({config.positions})"] if config.positions in _OF_QUERIES else []
        unread += [name for name in _OF_HEADS if getattr(config, name) not in {None, "none"}]
        if not unread:
            return ""
        *others, last = unread
        named = f"{', '.join(others)} and {last}" if others else last
        return f"has no queries and keys: it does not read {named}"

    def build(self, config: TransformerConfig, rank: int, *, causal: bool) -> nn.Module:
        """Implement AttentionKind.build."""
        if causal:
            return SimpleRecurrentUnit(config, rank)
        return self._full.build(config, rank, causal=False)

    def count_parameters(self, config: TransformerConfig, *, causal: bool) -> int:
        """Implement AttentionKind.count_parameters."""
        if not causal:
            return self._full.count_parameters(config, causal=False)
        bias = config.has_attention_bias
        return count_linear_parameters(config.d_model, 2 * config.d_model, bias=bias)

    def count_kept(self, config: TransformerConfig, *, causal: bool) -> int:
        """Implement AttentionKind.count_kept: the map's outputs, gates, their rest, c and ReLU."""
        return 6 * config.d_model if causal else self._full.count_kept(config, causal=False)

    def new_cache(self, config: TransformerConfig, size: CacheSize) -> StateCache:
        """Implement AttentionKind.new_cache."""
        shape = (size.rows, config.d_model)
        kept = [
            torch.zeros(shape, device=size.device, dtype=torch.float) for _ in range(size.layers)
        ]
        return StateCache([(state_BD,) for state_BD in kept], kind="ssru attention")

    def mixing(
        self, scope: Scope, tokens: Tokens, cache: StateCache | None, longest: int | None
    ) -> Mixing:
        """Implement AttentionKind.mixing."""
        if not scope.causal:
            return self._full.mixing(scope, tokens, None, longest)
        padding_BT1 = None if tokens.unpadded else (tokens.positions_BT < 0)[..., None]
        return SsruMixing(padding_BT1, _starts(tokens.segments_BT), cache)


def _starts(segments_BT: Tensor | None) -> Tensor | None:
    """Return True for tokens (B, T, 1) of another segment than the one before them."""
    if segments_BT is None:
        return None
    starts_BT = torch.ones_like(segments_BT, dtype=torch.bool)
    starts_BT[:, 1:] = segments_BT[:, 1:] != segments_BT[:, :-1]
    return starts_BT[..., None]
