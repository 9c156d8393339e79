"""Frequencies of rotary positions, and the registry of their scalings beyond the trained context.

Shape suffixes: B batch, T tokens, R dimensions of a head that are rotated.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .errors import ConfigError
from .layer_spec import RotaryScaling
from .registry import Registry


class Frequencies(NamedTuple):
    """The angles (R/2) by which pairs are rotated from one token to the next.

    Texts with more than `context` tokens have `long_texts` instead, where there are any: each
    document of a row by its own length, and tokens after those in a cache by their position, as
    what comes later must not change them. Cosines and sines are multiplied by `magnitude`.
    """

    per_token: Tensor
    long_texts: Tensor | None = None
    context: int = 0
    magnitude: float = 1.0

    def rotation(self, positions_BT: Tensor) -> Tensor:
        """Return cosines and sines (2, B, T, 1, R/2) of each position's angles."""
        per_token = self.per_token
        if self.long_texts is not None:
            begins_B1 = positions_BT[:, :1] <= 0  # else it goes on after what is in a cache
            last_BT = torch.where(begins_B1, _last_positions(positions_BT), positions_BT)
            is_long_BT11 = (last_BT >= self.context)[:, :, None, None]
            per_token = torch.where(is_long_BT11, self.long_texts, per_token)
        angles = positions_BT[:, :, None, None].float() * per_token
        rotation = torch.stack([angles.cos(), angles.sin()])
        return rotation if self.magnitude == 1.0 else rotation * self.magnitude


def _last_positions(positions_BT: Tensor) -> Tensor:
    """Return the last position of the document that each token is in, (B, T).

    >>> _last_positions(torch.tensor([[0, 1, 2, 0, 1, -1]])).tolist()
    [[2, 2, 2, 1, 1, -1]]
    """
    length = positions_BT.size(1)
    next_BT = torch.nn.functional.pad(positions_BT[:, 1:], (0, 1), value=-1)
    order_T = torch.arange(length, device=positions_BT.device)
    ends_BT = torch.where(next_BT <= positions_BT, order_T, length - 1)
    return positions_BT.gather(1, ends_BT.flip(1).cummin(dim=1).values.flip(1))


def _scale_linear(scaling: RotaryScaling, plain: Frequencies) -> Frequencies:
    """Divide all frequencies by the factor; arXiv 2306.15595."""
    return Frequencies(plain.per_token * (1.0 / scaling.factor))


def _scale_llama3(scaling: RotaryScaling, plain: Frequencies) -> Frequencies:
    """Divide slow frequencies by the factor, fast ones by 1, with a ramp between; Llama 3.1."""
    turns = scaling.original_context * plain.per_token / (2 * math.pi)  # in the trained context
    fast = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return Frequencies(plain.per_token * (fast + (1 - fast) / scaling.factor))


def _scale_longrope(scaling: RotaryScaling, plain: Frequencies) -> Frequencies:
    """Divide each frequency by its own factor, for short and for long texts; arXiv 2402.13753.

    A text that outgrows the trained context while it is written keeps its earlier keys as they
    are: its further tokens alone have the factors of long texts.
    """
    short, long = (
        _divide_each(plain.per_token, name, getattr(scaling, name))
        for name in ("short_factors", "long_factors")
    )
    magnitude = scaling.attention_factor
    if magnitude is None:
        grown = math.log(max(1.0, scaling.factor)) / math.log(max(2, scaling.original_context))
        magnitude = math.sqrt(1 + grown)
    return Frequencies(short, long, scaling.original_context, magnitude)


def _divide_each(frequencies: Tensor, name: str, factors: Sequence[float]) -> Tensor:
    if len(factors) != len(frequencies):
        raise ConfigError(
            f"rotary_scaling's {name} has {len(factors):,} entries; it must have "
            f"{len(frequencies):,}, one for each pair of rotated dimensions"
        )
    return frequencies / frequencies.new_tensor(factors)


ROTARY_SCALINGS: Registry[Callable[[RotaryScaling, Frequencies], Frequencies]] = Registry(
    "rotary scaling",
    {"linear": _scale_linear, "llama3": _scale_llama3, "longrope": _scale_longrope},
)


def scale_frequencies(scaling: RotaryScaling, plain: Frequencies) -> Frequencies:
    """Return the frequencies of a scaling, from those without any."""
    return ROTARY_SCALINGS[scaling.kind](scaling, plain)
