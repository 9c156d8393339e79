"""Self-attention over the tokens of one forward pass: made once, used by many layers.

Shape suffixes: B batch, T tokens, S keys, D d_model, H heads, G key heads, K head width,
R outputs of a map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..config import TransformerConfig

# Positions of queries (B, T) and of keys (B, S) to the mask (B, 1 or H, T, S).
MakeMask = Callable[[Tensor, Tensor], Tensor]
# From queries, keys and values, with scale, softcap and dropout, to mixed values.
Attend = Callable[..., Tensor]


class Tokens(NamedTuple):
    """The tokens of a forward pass: where they stand, and what part of a text they belong to."""

    positions_BT: Tensor  # -1 for padding; (1, T) where all rows have the same
    rows: int
    segments_BT: Tensor | None  # tokens of other segments do not see each other
    unpadded: bool  # True where it is known that none is padding
    global_tokens_BG: Tensor | None = None  # indices, for kinds that have global tokens

    @classmethod
    def of(
        cls,
        x_BTD: Tensor,
        positions_BT: Tensor | None,
        segments_BT: Tensor | None = None,
        global_tokens_BG: Tensor | None = None,
    ) -> "Tokens":
        """Return the tokens of what a stack reads; without positions, they are 0 … T-1."""
        unpadded = positions_BT is None
        if positions_BT is None:
            positions_BT = torch.arange(x_BTD.size(1), device=x_BTD.device)[None]
        return cls(positions_BT, len(x_BTD), segments_BT, unpadded, global_tokens_BG)


class AttentionPositions(Protocol):
    """Positions as attention uses them; see `positions.Positions`."""

    has_bias: bool
    longest_in_parts: int | None

    def rotation(self, positions_BT: Tensor) -> Tensor | None:
        """Return cosines and sines that rotate queries and keys, if any."""
        ...

    def bias(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor | None:
        """Return the bias (B, H, T, S) to add to attention scores, if any."""
        ...


@dataclass(frozen=True)
class Scope:
    """Settings that attention of some layers depends on, whatever text it reads."""

    config: TransformerConfig
    positions: AttentionPositions
    causal: bool


class HeadMixing(Protocol):
    """Self-attention over the tokens of one forward pass, without the maps around it."""

    def __call__(
        self, q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor, *, layer: int, dropout: float
    ) -> Tensor:
        """Return mixed values (B, T, H, K). `layer` is the number of the cache's layer."""
        ...


class RecurrentMixing(Protocol):
    """A recurrence over the tokens of one forward pass, without the map before it."""

    def __call__(self, gate_value_BTR: Tensor, *, layer: int) -> Tensor:
        """Return the output (B, T, D) of gates and values (B, T, 2 · D)."""
        ...


Mixing = HeadMixing | RecurrentMixing  # each module of attention knows its own


class FastPath(Protocol):
    """A way to attend by a pattern in whole texts that costs less than its dense mask."""

    @property
    def full_length(self) -> int:
        """Number of tokens of the longest texts in which the pattern hides nothing."""
        ...

    def attend(self, scope: Scope, tokens: Tokens, make_mask: MakeMask) -> Attend | None:
        """Return a function that attends as the dense mask does; None where that costs less.

        Texts are contiguous and padded on the right; `make_mask` makes masks of the pattern.
        """
        ...
