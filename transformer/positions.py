"""How a stack knows the order of its tokens: a table of kinds.

A kind may act in three places: added to the embeddings, rotating queries and keys, or as a bias on
attention scores. Shape suffixes: B batch, T queries, S keys, D d_model, H heads, K head width.
Positions are integers; -1 is padding, whose values never matter.
"""

import math

import torch
from torch import Tensor, nn

from .config import RotaryScaling, TransformerConfig
from .registry import Registry
from .uninitialized import Embedding


class Positions(nn.Module):
    """No positions at all, and the base of all kinds: each overrides the places where it acts."""

    biased = False  # whether attention scores get a bias

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__()
        self.config = config
        self.causal = causal

    def embed(self, x_BTD: Tensor, positions_BT: Tensor, longest: int = 0) -> Tensor:
        """Add positions to embeddings; all are below T or below `longest`, whichever is more."""
        del positions_BT, longest
        return x_BTD

    def rotation(self, positions_BT: Tensor) -> Tensor | None:
        """Cosines and sines (2, B, T, 1, K/2) by which to rotate queries and keys."""
        del positions_BT
        return None

    def bias(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor | None:
        """What to add to attention scores, (B, H, T, S)."""
        del queries_BT, keys_BS
        return None

    @staticmethod
    def parameters_in(config: TransformerConfig) -> int:
        """Number of weights in one stack's positions."""
        del config
        return 0


# Above this many positions, waves are computed for those that come, not kept for all there may be.
_KEPT_POSITIONS = 1 << 16


class Sinusoidal(Positions):
    """`PE(pos, 2i) = sin(pos/10000^(2i/d))`, cosine at 2i+1; arXiv 1706.03762 §3.5."""

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        # no buffer, for it is no part of a checkpoint, and is the same for any weights
        self._waves_PD: Tensor | None = None

    def embed(self, x_BTD: Tensor, positions_BT: Tensor, longest: int = 0) -> Tensor:
        """Add the sinusoids of each position."""
        size = max(self.config.max_positions, x_BTD.size(1), longest)
        if size > _KEPT_POSITIONS:
            return x_BTD + self._waves(positions_BT, x_BTD)
        waves_PD = self._waves_PD
        if (
            waves_PD is None
            or len(waves_PD) < size
            or (waves_PD.device, waves_PD.dtype) != (x_BTD.device, x_BTD.dtype)
        ):
            waves_PD = self._waves(torch.arange(size, device=x_BTD.device), x_BTD)
            self._waves_PD = waves_PD
        return x_BTD + waves_PD[positions_BT.clamp(min=0)]

    def _waves(self, positions: Tensor, like_BTD: Tensor) -> Tensor:
        """Compute the sinusoids (…, D) of positions, in the type of embeddings."""
        width = like_BTD.size(-1)
        steps = torch.arange((width + 1) // 2, device=positions.device, dtype=torch.float64)
        frequencies = torch.exp(steps * (-math.log(10_000.0) / self.last_step(width)))
        angles = (positions + self.config.position_offset)[..., None] * frequencies
        return self.arrange(angles.sin(), angles.cos())[..., :width].to(like_BTD.dtype)

    def last_step(self, width: int) -> float:
        """At which i the wavelength would be 10000·2π."""
        return width / 2

    def arrange(self, sines: Tensor, cosines: Tensor) -> Tensor:
        """Both as one vector: a sine, its cosine, the next sine …"""
        return torch.stack([sines, cosines], dim=-1).flatten(-2)


class SinusoidalHalves(Sinusoidal):
    """The same waves, all sines before all cosines: Marian's."""

    def arrange(self, sines: Tensor, cosines: Tensor) -> Tensor:
        """Both as one vector: sines, then cosines."""
        return torch.cat([sines, cosines], dim=-1)


class SinusoidalTensor2Tensor(SinusoidalHalves):
    """`sin(pos/10000^(i/(d/2-1)))`, sines before cosines: tensor2tensor's, which M2M-100 has."""

    def last_step(self, width: int) -> float:
        """The last wave has it, not the one after."""
        return max(1, width // 2 - 1)


class Learned(Positions):
    """One trained vector for each position up to max_positions."""

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        rows = config.max_positions + config.position_offset
        self.embedding = Embedding(rows, config.d_model)

    def embed(self, x_BTD: Tensor, positions_BT: Tensor, longest: int = 0) -> Tensor:
        """Add the vector of each position."""
        del longest
        rows_BT = positions_BT.clamp(min=0) + self.config.position_offset
        added: Tensor = x_BTD + self.embedding(rows_BT)
        return added

    @staticmethod
    def parameters_in(config: TransformerConfig) -> int:
        """Rows times width."""
        return (config.max_positions + config.position_offset) * config.d_model


class Rotary(Positions):
    """Pairs (i, i + K/2) of queries and keys turned by `pos·θ^(-2i/K)`; arXiv 2104.09864."""

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        if config.rotary_scaling is not None:
            ROTARY_SCALINGS.check(config.rotary_scaling.kind)
        self._kept_frequencies: Tensor | None = None

    def rotation(self, positions_BT: Tensor) -> Tensor:
        """Cosines and sines of each position's angles."""
        frequencies = self._kept_frequencies
        if frequencies is None or frequencies.device != positions_BT.device:
            frequencies = self._frequencies(positions_BT.device)
            self._kept_frequencies = frequencies
        angles = positions_BT[:, :, None, None].float() * frequencies
        return torch.stack([angles.cos(), angles.sin()])

    def _frequencies(self, device: torch.device) -> Tensor:
        """Compute the angle (K/2) by which each pair turns from position to position."""
        config, scaling = self.config, self.config.rotary_scaling
        exponents = torch.arange(0, config.head_width, 2, device=device).float()
        frequencies = 1.0 / config.rotary_base ** (exponents / config.head_width)
        if scaling is not None:
            frequencies = frequencies * ROTARY_SCALINGS[scaling.kind](scaling, frequencies)
        return frequencies


def _linear_stretch(scaling: RotaryScaling, frequencies: Tensor) -> Tensor:
    return torch.full_like(frequencies, 1.0 / scaling.factor)


def _llama3_stretch(scaling: RotaryScaling, frequencies: Tensor) -> Tensor:
    turns = scaling.original_context * frequencies / (2 * math.pi)  # within the trained context
    fast = ((turns - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return fast + (1 - fast) / scaling.factor


ROTARY_SCALINGS = Registry("rotary scaling", {"linear": _linear_stretch, "llama3": _llama3_stretch})


def rotate(x_BTHK: Tensor, rotation: Tensor | None) -> Tensor:
    """Turn each pair (i, i + K/2) by its angle; computed in float32, returned as x's dtype."""
    if rotation is None:
        return x_BTHK
    cos, sin = rotation
    first, second = x_BTHK.float().chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x_BTHK.dtype)


class Relative(Positions):
    """A trained bias for each head and each bucket of distances; T5, arXiv 1910.10683 §2.1.

    Half the buckets are exact distances; the rest grow logarithmically to relative_max_distance.
    """

    biased = True

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        self.embedding = Embedding(config.relative_buckets, config.heads)

    def bias(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
        """Look up the bias of each pair's bucket."""
        back_BTS = queries_BT[:, :, None] - keys_BS[:, None, :]
        bias_BTSH: Tensor = self.embedding(self._bucket(back_BTS))
        return bias_BTSH.permute(0, 3, 1, 2)

    def _bucket(self, back: Tensor) -> Tensor:
        buckets = self.config.relative_buckets
        start: Tensor | int = 0
        if self.causal:
            distance = back.clamp(min=0)
        else:  # one half of the buckets looks back, the other ahead
            buckets //= 2
            start = (back < 0).long() * buckets
            distance = back.abs()
        exact = buckets // 2
        ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(
            self.config.relative_max_distance / exact
        )
        far = exact + (ratio * (buckets - exact)).long()
        return start + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))

    @staticmethod
    def parameters_in(config: TransformerConfig) -> int:
        """One number for each bucket and head."""
        return config.relative_buckets * config.heads


class Alibi(Positions):
    """A fixed penalty growing with distance, steeper for each head; arXiv 2108.12409."""

    biased = True

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        self._slopes_H: Tensor | None = None  # on the device that last asked

    def bias(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
        """`-slope_h · |i - j|`."""
        distance_BTS = (queries_BT[:, :, None] - keys_BS[:, None, :]).abs()
        slopes_H = self._slopes_H
        if slopes_H is None or slopes_H.device != distance_BTS.device:
            slopes_H = torch.tensor(alibi_slopes(self.config.heads), device=distance_BTS.device)
            self._slopes_H = slopes_H
        return -slopes_H[None, :, None, None] * distance_BTS[:, None]


def alibi_slopes(heads: int) -> list[float]:
    """`2^(-8h/n)` for h = 1…n where n is a power of two; else those of the power below, then
    every other slope of the power above.

    >>> alibi_slopes(4)
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    power = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * h / power) for h in range(1, power + 1)]
    between = [2 ** (-8 * h / (2 * power)) for h in range(1, 2 * power + 1, 2)]
    return slopes + between[: heads - power]


POSITIONS: Registry[type[Positions]] = Registry(
    "position kind",
    {
        "none": Positions,
        "sinusoidal": Sinusoidal,
        "sinusoidal-halves": SinusoidalHalves,
        "sinusoidal-tensor2tensor": SinusoidalTensor2Tensor,
        "learned": Learned,
        "rotary": Rotary,
        "relative": Relative,
        "alibi": Alibi,
    },
)
