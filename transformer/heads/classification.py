"""Heads over labels: of texts, and of tokens.

Shape suffixes: B batch, T tokens, D d_model, L labels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import TransformerConfig
from ..dropout import Dropout
from ..errors import ConfigError
from ..feedforward import FEEDFORWARDS
from ..inputs import Batch
from ..pooling import POOLINGS
from ..registry import Registry
from ..uninitialized import Linear
from .base import Head, TokenHead, own_projection
from .label_kinds import LABEL_KINDS

CLASSIFIER_LAYERS: Registry[Callable[[Tensor], Tensor] | None] = Registry(
    "classifier layer",
    {
        "none": None,
        "tanh": torch.tanh,
        **{name: kind.activation for name, kind in FEEDFORWARDS.items() if not kind.gated},
    },
)


class SequenceClassificationHead(Head):
    """Outputs for each label from one vector of a text; arXiv 1810.04805 §4.1.

    `W · act(W₁ · pooled + b₁) + b`; W₁ is there where `classifier_layer` names its activation.
    """

    weight: nn.Parameter

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        _check(config)
        self.kind, self.pool = LABEL_KINDS[config.label_kind], POOLINGS[config.classifier_pooling]
        self.activation = CLASSIFIER_LAYERS[config.classifier_layer]
        if self.activation is not None:
            self.dense = Linear(config.d_model, config.d_model)
        self.dropout = Dropout(config.dropout)
        self.weight, self.bias = own_projection(config.labels, config)

    def forward(
        self, hidden_BTD: Tensor, embedding_VD: Tensor, positions_BT: Tensor | None = None
    ) -> Tensor:
        """Return the logits, or the numbers, of each text (B, L)."""
        del embedding_VD
        if positions_BT is None:
            mask_BT = torch.ones_like(hidden_BTD[:, :, 0], dtype=torch.bool)
        else:
            mask_BT = positions_BT >= 0
        features_BD = self.pool(hidden_BTD, mask_BT[:, :, None])
        if self.activation is not None:
            features_BD = self.activation(self.dense(features_BD))
        return F.linear(self.dropout(features_BD), self.weight, self.bias)

    def loss(
        self, hidden_BTD: Tensor, embedding_VD: Tensor, batch: Batch, *, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Implement Head.loss, by the kind of the labels."""
        outputs_BL = self(hidden_BTD, embedding_VD, batch.inputs.positions_BT)
        loss, plain = self.kind.loss(outputs_BL.float(), batch.targets, smoothing)
        return loss, plain.detach()

    @staticmethod
    def example_targets(config: TransformerConfig, ids_BT: Tensor) -> Tensor:
        """Implement Head.example_targets."""
        return LABEL_KINDS[config.label_kind].example(len(ids_BT), config.labels)

    @staticmethod
    def count_parameters(config: TransformerConfig) -> int:
        """Return the number of the head's own weights."""
        layer = CLASSIFIER_LAYERS[config.classifier_layer]
        dense = 0 if layer is None else config.d_model * (config.d_model + 1)
        return dense + TokenClassificationHead.count_parameters(config)


class TokenClassificationHead(TokenHead):
    """Outputs for each label from each token; arXiv 1810.04805 §5.3."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        _check(config)
        if config.label_kind != "single":
            raise ConfigError(
                f'head "tagging" gives each token one label: label_kind is {config.label_kind}, '
                "it must be single"
            )
        self.dropout = Dropout(config.dropout)
        self.weight, self.bias = own_projection(config.labels, config)

    def features(self, hidden_BTD: Tensor) -> Tensor:
        """Return what the projection multiplies, (B, T, D)."""
        features_BTD: Tensor = self.dropout(hidden_BTD)
        return features_BTD

    @staticmethod
    def example_targets(config: TransformerConfig, ids_BT: Tensor) -> Tensor:
        """Implement Head.example_targets."""
        return ids_BT % config.labels

    @staticmethod
    def count_parameters(config: TransformerConfig) -> int:
        """Return the number of the head's own weights."""
        return config.labels * (config.d_model + config.output_bias)


def _check(config: TransformerConfig) -> None:
    if not config.labels:
        raise ConfigError(f'head "{config.head}" needs labels: their number is 0')
    if not config.tie_output or config.output_scale != 1.0:
        raise ConfigError(
            f'head "{config.head}" has no projection to the vocabulary: tie_output must be true '
            "and output_scale 1"
        )
