"""Small models of our own in folders."""

from collections.abc import Sequence
from pathlib import Path

import torch

from checkpoints import write_folder
from tests.families.published import VOCABULARY
from tokenizer import Tokenizer
from transformer.config import TransformerConfig
from transformer.export import save_model
from transformer.initialization import initialize
from transformer.model import Transformer
from transformer.presets import PRESETS, preset_config

SMALL = {
    "d_model": 16,
    "d_ff": 24,
    "heads": 4,
    "vocab_size": VOCABULARY,
    "max_positions": 40,
    "output_scale": 1.0,
}


def small(preset: str) -> TransformerConfig:
    fields = PRESETS[preset].fields
    layers = {key: 2 for key in ("encoder_layers", "decoder_layers") if key in fields}
    scale = {"output_scale": 0.25} if "output_scale" in fields else {}
    return preset_config(preset, **{**SMALL, **layers, **scale})


def own(
    folder: Path,
    config: TransformerConfig,
    tokenizer: Tokenizer,
    labels: Sequence[str] = (),
    seed: int = 1,
) -> Transformer:
    model = Transformer(config)
    initialize(model, seed=seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    weights = model.state_dict()
    write_folder(
        folder,
        lambda place: save_model(place, config, weights, tokenizer, card={}, labels=labels),
    )
    return model.eval()
