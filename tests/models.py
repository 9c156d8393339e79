"""Tiny models for tests: one for every entry of the tables."""

import torch
from torch import Tensor

from transformer.config import TransformerConfig
from transformer.initialization import initialize
from transformer.inputs import ModelInputs
from transformer.model import Transformer

SHAPES = ("encoder", "decoder", "encoder-decoder")
VOCABULARY = 23


class WiderConfig(TransformerConfig, frozen=True, kw_only=True):
    """A configuration with a field that nothing knows."""

    mixing: float = 0.0


def tiny_config(shape: str = "decoder", **changes: object) -> TransformerConfig:
    layers = {
        "encoder_layers": 2 if shape != "decoder" else 0,
        "decoder_layers": 2 if shape != "encoder" else 0,
    }
    fields = {
        "shape": shape,
        "vocab_size": VOCABULARY,
        "d_model": 16,
        "d_ff": 24,
        "heads": 4,
        "max_positions": 32,
        "dropout": 0.0,
        **layers,
        **changes,
    }
    return TransformerConfig(**fields)  # type: ignore[arg-type]


def tiny_model(shape: str = "decoder", **changes: object) -> Transformer:
    """An initialised model in evaluation mode. Biases and norms leave 0 and 1, where mistakes
    would hide."""
    model = Transformer(tiny_config(shape, **changes))
    initialize(model, seed=1)
    for weight in model.parameters():
        weight.data.add_(0.1 * torch.randn_like(weight))
    return model.eval()


def model_inputs(
    ids_BT: Tensor,
    positions_BT: Tensor | None = None,
    *,
    types_BT: Tensor | None = None,
    source_BS: Tensor | None = None,
    source_positions_BS: Tensor | None = None,
) -> ModelInputs:
    """The inputs of a network, of an encoder-decoder with a source."""
    source = None if source_BS is None else ModelInputs(source_BS, source_positions_BS)
    return ModelInputs(ids_BT, positions_BT, types_BT, source)
