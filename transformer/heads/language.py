"""Heads over the vocabulary, and none.

Shape suffixes: B batch, T tokens, D d_model, V vocabulary.
"""

import torch
from torch import Tensor, nn

from ..config import TransformerConfig
from ..errors import ConfigError
from ..feedforward import FEEDFORWARDS
from ..norms import count_norm_parameters, make_norm
from ..uninitialized import Linear
from .base import TokenHead


class LinearHead(TokenHead):
    """`logits = scale · hidden · Wᵀ + b`; W is the embedding if tied, arXiv 1608.05859.

    They are capped where the configuration says so.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        if config.labels:
            raise ConfigError(f'head "{config.head}" has no labels; classification and tagging do')
        self.scale, self.softcap = config.output_scale, config.logit_softcap
        shape = (config.vocab_size, config.d_model)
        self.weight = None if config.tie_output else nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(config.vocab_size)) if config.output_bias else None

    @staticmethod
    def example_targets(config: TransformerConfig, ids_BT: Tensor) -> Tensor:
        """Implement Head.example_targets: the next ids."""
        del config
        return ids_BT.roll(-1, dims=1)

    @staticmethod
    def count_parameters(config: TransformerConfig) -> int:
        """Return the number of the head's own weights."""
        weight = 0 if config.tie_output else config.vocab_size * config.d_model
        return weight + (config.vocab_size if config.output_bias else 0)


class MaskedLMHead(LinearHead):
    """BERT's head: `norm(act(Wh + b))` before the projection; arXiv 1810.04805."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.dense = Linear(config.d_model, config.d_model)
        self.activation = FEEDFORWARDS[config.feedforward].activation
        self.norm = make_norm(config)

    def features(self, hidden_BTD: Tensor) -> Tensor:
        """Return what the projection multiplies, (B, T, D)."""
        transformed: Tensor = self.norm(self.activation(self.dense(hidden_BTD)))
        return super().features(transformed)

    @staticmethod
    def count_parameters(config: TransformerConfig) -> int:
        """Return the number of the head's own weights."""
        dense = config.d_model * (config.d_model + 1)
        return dense + count_norm_parameters(config) + LinearHead.count_parameters(config)


class NoHead(LinearHead):
    """No head: the model returns its hidden states."""

    projects = False

    def __init__(self, config: TransformerConfig) -> None:
        if not config.tie_output or config.output_bias:
            raise ConfigError(
                'head "none" has no weights: tie_output must be true and output_bias false'
            )
        super().__init__(config)

    def forward(
        self, hidden_BTD: Tensor, embedding_VD: Tensor, positions_BT: Tensor | None = None
    ) -> Tensor:
        """Return the hidden states (B, T, D) unchanged."""
        del embedding_VD, positions_BT
        return hidden_BTD
