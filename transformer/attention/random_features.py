"""Random features of the softmax kernel: Performer's FAVOR+, arXiv 2009.14794.

Shape suffixes: B batch, T tokens, H heads, G key heads, M features, K head width, D d_model.
"""

import math

import torch
from torch import Tensor, nn

from ..config import TransformerConfig
from ..errors import ConfigError
from ..rotation import rotate
from .linear import LinearAttention, LinearMixing
from .mixing import HeadMixing
from .recurrence import Sides
from .self_attention import SelfAttention

# Exponents of keys stay below the one, and so their sums over any text below float32's 2^128; and
# at the other or above, so that a text of the least keys has weights, too.
_MAX_EXPONENT, _MIN_EXPONENT = 60.0, -75.0
# In wider heads, usual keys would have exponents below both.
_MAX_WIDTH = 128


def orthogonal_directions(features: int, width: int) -> Tensor:
    """Draw directions (M, K), orthogonal in blocks of K, with lengths as of Gaussian vectors.

    Each is distributed as a standard Gaussian vector; those of a block are orthogonal, which
    lowers the variance of the kernel's estimate; arXiv 2009.14794 §2.4.
    """
    blocks = []
    for start in range(0, features, width):
        q_KK, r_KK = torch.linalg.qr(torch.randn(width, width))
        q_KK = q_KK * r_KK.diagonal().sign()  # without it, directions are not uniform
        blocks.append(q_KK.T[: features - start])
    lengths_M1 = torch.randn(features, width).norm(dim=1, keepdim=True)
    drawn_MK: Tensor = torch.cat(blocks) * lengths_M1
    return drawn_MK


def feature_exponents(x: Tensor, directions_MK: Tensor) -> Tensor:
    """Return `Wx - ‖x‖²/2`, (…, M), the logarithms of positive features of vectors (…, K).

    The mean of exp(e(x) + e(y)) over directions is exp(x·y); arXiv 2009.14794, Lemma 1.
    """
    exponents: Tensor = x @ directions_MK.T - x.square().sum(dim=-1, keepdim=True) / 2
    return exponents


class RandomFeatures(nn.Module):
    """Directions W of random features, (M, K): part of a model, drawn and never trained."""

    weight: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.scale = math.sqrt(config.scale)
        self.redraw_every = config.redraw_features
        self.register_buffer("weight", torch.empty(config.random_features, config.head_width))

    def redraw_after(self, steps: int) -> None:
        """Draw other directions where so many training steps are a multiple of those between."""
        if steps and self.redraw_every and steps % self.redraw_every == 0:
            self.redraw()

    def redraw(self) -> None:
        """Draw other directions, from torch's generator on the CPU."""
        drawn_MK = orthogonal_directions(*self.weight.shape)
        self.weight.copy_(drawn_MK.to(self.weight.device, non_blocking=True))

    def sides(
        self, q_BTHK: Tensor, k_BTHK: Tensor, v_BTHK: Tensor, rotation: Tensor | None
    ) -> Sides:
        """Return features whose products are about exp(scale · q·k), up to a factor of a query.

        Queries and keys are rotated first. Shifts that keep numbers small cancel in the weights:
        a query's is its largest exponent, and that of keys is the same for all, from the bound
        `w·x - ‖x‖²/2 ≤ ‖w‖²/2`. A maximum over keys would tell earlier tokens of later ones.
        """
        directions_MK = self.weight.float()
        q, k = (self.scale * rotate(x, rotation).transpose(1, 2) for x in (q_BTHK, k_BTHK))
        q_BHTM, k_BHTM = (feature_exponents(x, directions_MK) for x in (q, k))
        bound = directions_MK.square().sum(dim=1).amax() / 2
        return Sides(
            (q_BHTM - q_BHTM.detach().amax(dim=-1, keepdim=True)).exp(),
            (k_BHTM - bound + _MAX_EXPONENT).clamp(min=_MIN_EXPONENT).exp(),
            v_BTHK.transpose(1, 2),
        )


class RandomFeatureAttention(SelfAttention):
    """Multi-head self-attention with random features of its own."""

    def __init__(self, config: TransformerConfig, rank: int = 0) -> None:
        super().__init__(config, rank)
        self.features = RandomFeatures(config)

    def forward(self, x_BTD: Tensor, mixing: HeadMixing) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        assert isinstance(mixing, LinearMixing)
        return super().forward(x_BTD, mixing._replace(features=self.features.sides))


class PerformerAttention(LinearAttention):
    """Attention weights exp(q·k/√d) by random features, FAVOR+; arXiv 2009.14794.

    In decoders sums over earlier tokens are those of linear attention, without a decay.
    """

    fields = ("random_features", "redraw_features")

    def __init__(self) -> None:
        super().__init__(None, decay=False, name="performer attention")  # each layer has its own

    def check(self, config: TransformerConfig) -> None:
        """Implement AttentionKind.check."""
        super().check(config)
        if config.scale <= 0:
            raise ConfigError(
                f"attention_scale is {config.attention_scale}; performer attention needs a "
                "factor above 0"
            )
        if config.head_width > _MAX_WIDTH:
            raise ConfigError(
                f"heads are {config.head_width} wide; the exponentials of performer attention "
                f"allow {_MAX_WIDTH} at most: use more heads, or set d_head"
            )

    def build(
        self, config: TransformerConfig, rank: int, *, causal: bool
    ) -> RandomFeatureAttention:
        """Implement AttentionKind.build."""
        del causal
        return RandomFeatureAttention(config, rank)

    def count_features(self, config: TransformerConfig) -> int:
        """Return the number of features of a query or key."""
        return config.random_features
