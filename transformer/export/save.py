"""Writing of models to folders that hold all that is needed to run them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from torch import Tensor

from checkpoints import WEIGHTS, save_tensors, to_json
from tokenizer import SpecialAffixes, Tokenizer

from ..abilities import commands_of
from ..config import TransformerConfig
from ..families import FAMILIES, LABEL_NAMES, MODEL_TYPE, SOURCE_AFFIXES
from ..loading.generation_config import GENERATION, GenerationConfig, default_generation_config
from ..loading.load import TOKENIZER
from ..loading.model_folder import CONFIG
from ..parameters import count_parameters

CARD = "README.md"


def save_model(
    folder: Path,
    config: TransformerConfig,
    weights: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    *,
    card: Mapping[str, Any],
    source_affixes: SpecialAffixes | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write all that a new model needs to run into a folder, usually inside `write_folder`.

    Its settings of decoding are the ids of the tokenizer's special tokens. For the others see
    `save_texts`.
    """
    settings = generation_settings(default_generation_config(tokenizer))
    affixes = source_affixes
    save_texts(folder, config, tokenizer, settings, source_affixes=affixes, labels=labels)
    save_network(folder, config, weights, card=card)


def save_texts(
    folder: Path,
    config: TransformerConfig,
    tokenizer: Tokenizer,
    settings: Mapping[str, Any],
    *,
    source_affixes: SpecialAffixes | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write a model's configuration, settings of decoding and tokenizer into a folder.

    `source_affixes` are the ids around an encoder's text where its tokenizer does not say them,
    `labels` the names of what a head over labels gives, in the order of their ids.
    """
    fields = config_fields(config, labels)
    if source_affixes is not None:
        fields[SOURCE_AFFIXES] = source_affixes
    texts = {CONFIG: to_json(fields), GENERATION: to_json(settings), TOKENIZER: tokenizer.to_json()}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def save_network(
    folder: Path,
    config: TransformerConfig,
    weights: Mapping[str, Tensor],
    *,
    card: Mapping[str, Any],
) -> None:
    """Write a model's weights and its card into a folder."""
    (folder / CARD).write_text(model_card(config, card), encoding="utf-8")
    save_tensors(folder / WEIGHTS, weights)


def config_fields(config: TransformerConfig, labels: Sequence[str] = ()) -> dict[str, Any]:
    """Return the contents of config.json in our format, with the names of a network's labels."""
    fields = {"model_type": MODEL_TYPE, **FAMILIES[MODEL_TYPE].write(config)}
    return {**fields, LABEL_NAMES: list(labels)} if labels and config.labels else fields


def model_card(config: TransformerConfig, facts: Mapping[str, Any]) -> str:
    """Return a README.md for a model: its size and its origin."""
    verb = next(iter(commands_of(config)), "checkpoint show").split()[0]
    rows = {"shape": config.shape, "parameters": f"{count_parameters(config):,}", **facts}
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    text = f"# A {config.shape} Transformer\n\n| | |\n|---|---|\n{table}\n\n```\n\
transduce {verb} -m .\n```\n"
    return f"{text}\n{_mark(text)}\n"


def is_own_card(text: str) -> bool:
    """Return True for the text of a README.md that `model_card` wrote, and nobody has edited."""
    body, _, mark = text.rstrip().rpartition("\n\n")
    return mark == _mark(f"{body}\n")


def _mark(text: str) -> str:
    """Return the comment at the end of a card of ours, with a sum of what stands before it."""
    return f"<!-- written by transduce, {crc32(text.encode()):08x}: replaced unless edited -->"


def generation_settings(config: GenerationConfig) -> dict[str, Any]:
    """Return the settings of decoding that are set."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    return {name: value for name, value in fields.items() if value is not None}
