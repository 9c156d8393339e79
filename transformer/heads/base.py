"""The interface of heads.

Shape suffixes: B batch, T tokens, N predicted positions, D d_model, V outputs of a token.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import TransformerConfig
from ..inputs import Batch
from ..losses import Projection, projected_cross_entropy, projected_nll
from ..soft_cap import soft_cap


class Head(nn.Module, ABC):
    """The last part of a network: from hidden states to its outputs, and their loss."""

    weight: nn.Parameter | None  # its own projection
    bias: nn.Parameter | None

    @abstractmethod
    def forward(
        self, hidden_BTD: Tensor, embedding_VD: Tensor, positions_BT: Tensor | None = None
    ) -> Tensor:
        """Return the outputs before any normalisation: of each token, or of each text.

        `positions_BT`: -1 marks padding; None: there is none.
        """

    @abstractmethod
    def loss(
        self, hidden_BTD: Tensor, embedding_VD: Tensor, batch: Batch, *, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Return sums over the targets: the smoothed loss, with gradients, and the plain one."""

    @staticmethod
    @abstractmethod
    def example_targets(config: TransformerConfig, ids_BT: Tensor) -> Tensor:
        """Return targets of the right shape for texts of some ids, to measure a step with."""

    @staticmethod
    @abstractmethod
    def count_parameters(config: TransformerConfig) -> int:
        """Return the number of the head's own weights."""


class TokenHead(Head):
    """A head that projects the features of each token: `scale · features · Wᵀ + b`.

    With `softcap`, the outputs go through `soft_cap`. In inference `packed` may stand for the
    matrix and the bias.
    """

    projects = True  # False: the outputs are the hidden states
    scale = 1.0
    softcap: float | None = None

    def __init__(self) -> None:
        super().__init__()
        self.packed: Projection | None = None

    def features(self, hidden_BTD: Tensor) -> Tensor:
        """Return what the projection multiplies, (B, T, D)."""
        return hidden_BTD if self.scale == 1.0 else hidden_BTD * self.scale

    def projection(self, embedding_VD: Tensor) -> Tensor:
        """Return the output matrix (V, D): the head's own, or the embedding."""
        return embedding_VD if self.weight is None else self.weight

    def forward(
        self, hidden_BTD: Tensor, embedding_VD: Tensor, positions_BT: Tensor | None = None
    ) -> Tensor:
        """Return the logits (B, T, V)."""
        del positions_BT
        features_BTD = self.features(hidden_BTD)
        if self.packed is not None:
            return soft_cap(self.packed(features_BTD), self.softcap)
        weight_VD = self.projection(embedding_VD)
        return soft_cap(F.linear(features_BTD, weight_VD, self.bias), self.softcap)

    def loss(
        self, hidden_BTD: Tensor, embedding_VD: Tensor, batch: Batch, *, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Implement Head.loss: cross-entropy of the predicted positions, in nats."""
        hidden_ND, targets_N = hidden_BTD.flatten(0, 1), batch.targets.flatten()
        if batch.predicted_N is not None:
            hidden_ND = hidden_ND.index_select(0, batch.predicted_N)
            targets_N = targets_N.index_select(0, batch.predicted_N)
        features_ND = self.features(hidden_ND)
        if self.packed is not None:
            nll = projected_nll(self.packed, features_ND, targets_N, softcap=self.softcap)
            return nll, nll
        weight_VD = self.projection(embedding_VD)
        return projected_cross_entropy(
            features_ND,
            weight_VD,
            self.bias,
            targets_N,
            smoothing=smoothing,
            softcap=self.softcap,
        )


def own_projection(
    outputs: int, config: TransformerConfig
) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Return the uninitialized matrix of a head's outputs, and its bias if there is one."""
    bias = nn.Parameter(torch.zeros(outputs)) if config.output_bias else None
    return nn.Parameter(torch.empty(outputs, config.d_model)), bias
