"""A tiny masked language model: random weights, a tokenizer that knows every byte, a folder."""

from pathlib import Path
from typing import Any

from msgspec import structs

from tests.models import tiny_model
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer
from tokenizer.special import MASK
from transformer.export import save_model
from transformer.loading import LoadedModel, load_model
from transformer.presets import preset_config

CONTEXT = 32


def masked_tokenizer() -> Tokenizer:
    options = TrainingOptions(
        kind="byte-bpe", vocab_size=280, normalization="none", reserved=(MASK,)
    )
    return train_tokenizer(["one two größer 日本 three four five"] * 9, options)


def write_masked(folder: Path, *, spare_rows: int = 0, **changes: Any) -> Path:
    """Write a model of 32 tokens' context, with rows of its embedding that no token has."""
    tokenizer = masked_tokenizer()
    affixes = ([tokenizer.require_role("begin")], [tokenizer.require_role("end")])
    size = tokenizer.vocab_size + spare_rows
    bert = structs.asdict(preset_config("bert-tiny", vocab_size=size))
    sizes = {"d_model": 16, "d_ff": 24, "heads": 4, "encoder_layers": 2, "max_positions": CONTEXT}
    model = tiny_model(**{**bert, **sizes, **changes})
    folder.mkdir(parents=True, exist_ok=True)
    save_model(folder, model.config, model.state_dict(), tokenizer, card={}, source_affixes=affixes)
    return folder


def load_masked(folder: Path, **options: Any) -> LoadedModel:
    return load_model(write_masked(folder, **options), device="cpu")
