"""Positional encodings, and the registry of their kinds.

A kind may add to the embeddings, rotate queries and keys, or add a bias to attention scores.
Shape suffixes: B batch, T queries, S keys, D d_model, H heads, K head width.
Positions are integers; -1 is padding, whose values never matter.
"""

import math

import torch
from torch import Tensor, nn

from .config import TransformerConfig
from .registry import Registry
from .rotary_scaling import Frequencies, scale_frequencies
from .uninitialized import Embedding


class Positions(nn.Module):
    """No positional encoding, and the base of all kinds: each overrides the methods it acts by."""

    has_bias = False  # True: attention scores get a bias
    # Tokens up to which a text may be read in parts: a longer one's length changes its early keys.
    longest_in_parts: int | None = None  # None: a text of any length
    fields: tuple[str, ...] = ()  # of a configuration, that it reads and not all kinds do

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__()
        self.config = config
        self.causal = causal

    def embed(self, x_BTD: Tensor, positions_BT: Tensor, longest: int = 0) -> Tensor:
        """Add positions to embeddings (B, T, D).

        All positions are below max(T, `longest`).
        """
        del positions_BT, longest
        return x_BTD

    def rotation(self, positions_BT: Tensor) -> Tensor | None:
        """Return cosines and sines (2, B, T, 1, K/2) that rotate queries and keys, if any."""
        del positions_BT
        return None

    def bias(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor | None:
        """Return the bias (B, H, T, S) to add to attention scores, if any."""
        del queries_BT, keys_BS
        return None

    @staticmethod
    def count_parameters(config: TransformerConfig, *, causal: bool) -> int:
        """Return the number of weights in the positions of one stack."""
        del config, causal
        return 0


# Positions up to which sinusoids are cached for all that may come; of more, none are cached.
_MAX_CACHED_POSITIONS = 1 << 16


class Sinusoidal(Positions):
    """`PE(pos, 2i) = sin(pos/10000^(2i/d))`, cosine at 2i+1; arXiv 1706.03762 §3.5."""

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        # no torch buffer: it is computed, so it is no part of a checkpoint
        self._cached_sinusoids_PD: Tensor | None = None

    def embed(self, x_BTD: Tensor, positions_BT: Tensor, longest: int = 0) -> Tensor:
        """Add the sinusoids of each position."""
        size = max(self.config.max_positions, x_BTD.size(1), longest)
        if size > _MAX_CACHED_POSITIONS:
            return x_BTD + self._sinusoids(positions_BT, x_BTD)
        sinusoids_PD = self._cached_sinusoids_PD
        if (
            sinusoids_PD is None
            or len(sinusoids_PD) < size
            or (sinusoids_PD.device, sinusoids_PD.dtype) != (x_BTD.device, x_BTD.dtype)
        ):
            sinusoids_PD = self._sinusoids(torch.arange(size, device=x_BTD.device), x_BTD)
            self._cached_sinusoids_PD = sinusoids_PD
        return x_BTD + sinusoids_PD[positions_BT.clamp(min=0)]

    def _sinusoids(self, positions: Tensor, like_BTD: Tensor) -> Tensor:
        """Compute the sinusoids (…, D) of positions (…), in the dtype of embeddings."""
        width = like_BTD.size(-1)
        steps = torch.arange((width + 1) // 2, device=positions.device, dtype=torch.float64)
        frequencies = torch.exp(steps * (-math.log(10_000.0) / self.exponent_divisor(width)))
        angles = (positions + self.config.position_offset)[..., None] * frequencies
        return self.arrange(angles.sin(), angles.cos())[..., :width].to(like_BTD.dtype)

    def exponent_divisor(self, width: int) -> float:
        """Return the divisor of i in the exponent, at which the wavelength reaches 10000·2π."""
        return width / 2

    def arrange(self, sines: Tensor, cosines: Tensor) -> Tensor:
        """Join sines and cosines, (…, D/2) each, alternating: (…, D)."""
        return torch.stack([sines, cosines], dim=-1).flatten(-2)


class SinusoidalHalves(Sinusoidal):
    """The same sinusoids, all sines before all cosines, as in Marian."""

    def arrange(self, sines: Tensor, cosines: Tensor) -> Tensor:
        """Join sines and cosines, (…, D/2) each, one after the other: (…, D)."""
        return torch.cat([sines, cosines], dim=-1)


class SinusoidalTensor2Tensor(SinusoidalHalves):
    """`sin(pos/10000^(i/(d/2-1)))`, sines before cosines, as in tensor2tensor and M2M-100."""

    def exponent_divisor(self, width: int) -> float:
        """Return the divisor by which the last sinusoid, not the one after, has that wavelength."""
        return max(1, width // 2 - 1)


class Learned(Positions):
    """A trained vector for each position below max_positions, or a decoder's own limit."""

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        self.embedding = Embedding(_learned_rows(config, causal=causal), config.d_model)

    def embed(self, x_BTD: Tensor, positions_BT: Tensor, longest: int = 0) -> Tensor:
        """Add the vector of each position, which must be below the limit."""
        del longest
        rows_BT = positions_BT.clamp(min=0) + self.config.position_offset
        added: Tensor = x_BTD + self.embedding(rows_BT)
        return added

    @staticmethod
    def count_parameters(config: TransformerConfig, *, causal: bool) -> int:
        """Return a vector of d_model for each row of the table."""
        return _learned_rows(config, causal=causal) * config.d_model


def _learned_rows(config: TransformerConfig, *, causal: bool) -> int:
    longest = config.target_positions if causal else config.max_positions
    return longest + config.position_offset


class Rotary(Positions):
    """Rotary embeddings: pairs (i, i + K/2) rotated by `pos·θ^(-2i/K)`; arXiv 2104.09864."""

    fields = ("rotary_base", "rotary_scaling", "rotary_fraction")

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        plain = self._frequencies(torch.device("meta"))  # raises for a scaling that does not fit
        self.longest_in_parts = None if plain.long_texts is None else plain.context
        self._cached_frequencies: Frequencies | None = None

    def rotation(self, positions_BT: Tensor) -> Tensor:
        """Return cosines and sines (2, B, T, 1, R/2) of each position's angles.

        R is the number of a head's dimensions that are rotated.
        """
        frequencies = self._cached_frequencies
        if frequencies is None or frequencies.per_token.device != positions_BT.device:
            frequencies = self._frequencies(positions_BT.device)
            self._cached_frequencies = frequencies
        return frequencies.rotation(positions_BT)

    def _frequencies(self, device: torch.device) -> Frequencies:
        config, scaling = self.config, self.config.rotary_scaling
        exponents = torch.arange(0, config.rotary_width, 2, device=device).float()
        frequencies = Frequencies(1.0 / config.rotary_base ** (exponents / config.rotary_width))
        return frequencies if scaling is None else scale_frequencies(scaling, frequencies)


class Relative(Positions):
    """A trained bias for each head and bucket of distances; T5, arXiv 1910.10683 §2.1.

    Half the buckets hold one distance each, the others logarithmically growing ranges up to
    relative_max_distance.
    """

    has_bias = True
    fields = ("relative_buckets", "relative_max_distance")

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        self.embedding = Embedding(config.relative_buckets, config.heads)

    def bias(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
        """Return the bias of each pair's bucket, (B, H, T, S)."""
        offset_BTS = queries_BT[:, :, None] - keys_BS[:, None, :]
        bias_BTSH: Tensor = self.embedding(self._bucket(offset_BTS))
        return bias_BTSH.permute(0, 3, 1, 2)

    def _bucket(self, offset: Tensor) -> Tensor:
        """Return the buckets of offsets, query position less key position."""
        buckets = self.config.relative_buckets
        start: Tensor | int = 0
        if self.causal:
            distance = offset.clamp(min=0)
        else:  # half of the buckets for earlier keys, half for later ones
            buckets //= 2
            start = (offset < 0).long() * buckets
            distance = offset.abs()
        exact_buckets = buckets // 2
        ratio = torch.log(distance.clamp(min=1).float() / exact_buckets) / math.log(
            self.config.relative_max_distance / exact_buckets
        )
        far = exact_buckets + (ratio * (buckets - exact_buckets)).long()
        return start + torch.where(distance < exact_buckets, distance, far.clamp(max=buckets - 1))

    @staticmethod
    def count_parameters(config: TransformerConfig, *, causal: bool) -> int:
        """Return the number of biases: one for each bucket and head."""
        del causal
        return config.relative_buckets * config.heads


class Alibi(Positions):
    """A penalty linear in the distance, with a fixed slope for each head; arXiv 2108.12409."""

    has_bias = True

    def __init__(self, config: TransformerConfig, *, causal: bool) -> None:
        super().__init__(config, causal=causal)
        self._slopes_H: Tensor | None = None  # on the device of the last call

    def bias(self, queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
        """Return `-slope_h · |i - j|`, (B, H, T, S)."""
        distance_BTS = (queries_BT[:, :, None] - keys_BS[:, None, :]).abs()
        slopes_H = self._slopes_H
        if slopes_H is None or slopes_H.device != distance_BTS.device:
            slopes_H = torch.tensor(alibi_slopes(self.config.heads), device=distance_BTS.device)
            self._slopes_H = slopes_H
        return -slopes_H[None, :, None, None] * distance_BTS[:, None]


def alibi_slopes(heads: int) -> list[float]:
    """Return `2^(-8h/n)` for h = 1…n, if the number of heads n is a power of two.

    Else the slopes for the power of two below, then every other slope for the one above.

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
