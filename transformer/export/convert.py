"""Conversion of model folders: to formats of other programs, or to ours."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from checkpoints import (
    WEIGHTS,
    CheckpointError,
    Tensors,
    save_tensors,
    to_json,
    verify_checksums,
    write_folder,
)
from tokenizer import TOKENIZER_FILES

from ..chat.template import CHAT_FILES, chat_template_text, write_chat_template
from ..config import TransformerConfig, config_to_fields
from ..errors import ConfigError, UnknownNameError
from ..families import (
    FAMILIES,
    MODEL_TYPE,
    ConfigReader,
    UnmappedError,
    permute_to_halved_sinusoids,
)
from ..loading.generation_config import GENERATION
from ..loading.load import TOKENIZER, LoadedModel, attach_tokenizers, build_model
from ..loading.model_folder import CONFIG, FolderContents, find_model, inspect_folder
from ..registry import suggest
from .ctranslate2 import export_ctranslate2
from .save import CARD, generation_settings, model_card, save_model

PUBLISHED = "huggingface"  # the first family that can express the network
CTRANSLATE2 = "ctranslate2"
TARGETS = (PUBLISHED, CTRANSLATE2, *FAMILIES)
TARGET_TOKENIZER, TOKENIZER_CONFIG = "target_tokenizer.json", "tokenizer_config.json"

# Fields that only training uses, and those that only some values of another field use.
_TRAINING = "initialization initialization_std dropout attention_dropout activation_dropout"
_ONLY_WITH = (
    ("positions", ("rotary",), ("rotary_base", "rotary_scaling")),
    ("positions", ("relative",), ("relative_buckets", "relative_max_distance")),
    ("attention", ("sliding",), ("window", "global_tokens")),
    ("shape", ("encoder-decoder",), ("share_embeddings",)),
)


class PublishedModel(NamedTuple):
    """A network as a model of a published family."""

    model_type: str
    options: dict[str, Any]  # of config.json
    tensors: dict[str, Tensor]


def convert_model(path: Path, out: Path, *, to: str) -> str:
    """Write a model folder in the format `to`, an entry of TARGETS; return the family's name.

    Weights keep their stored type. Raises ConfigError naming what the format cannot express.
    """
    if to not in TARGETS:
        raise UnknownNameError(f"no format is called {to!r}; {suggest(to, TARGETS)}")
    folder = find_model(path)
    verify_checksums(folder)
    contents = inspect_folder(folder)
    loaded = attach_tokenizers(contents, build_model(contents, dtype=stored_dtype(contents)))
    if to == MODEL_TYPE:
        write_folder(out, lambda new: _write_native(new, loaded))
        return to
    if to == CTRANSLATE2:
        export_ctranslate2(loaded, out)
        return to
    published = to_published(loaded, to)
    write_folder(out, lambda new: _write_published(new, loaded, published))
    return published.model_type


def stored_dtype(contents: FolderContents) -> torch.dtype:
    """Return the type of a folder's floating-point weights; the first of them decides."""
    dtypes = (header.dtype for header in contents.weights.values())
    floating = (dtype for dtype in dtypes if dtype is not None and dtype.is_floating_point)
    return next(floating, torch.float32)


def to_published(loaded: LoadedModel, to: str) -> PublishedModel:
    """Return a model as one of a family; `huggingface` is the first family that can express it."""
    reasons: dict[str, str] = {}
    families = [name for name in FAMILIES if name != MODEL_TYPE] if to == PUBLISHED else [to]
    for name in families:
        for config, tensors in _equivalents(loaded):
            try:
                return _as_family(name, config, tensors)
            except ConfigError as error:
                reasons[name] = str(error)
    if to == PUBLISHED:
        raise ConfigError(f"no published family has networks like that of {loaded.folder}")
    raise ConfigError(f"{loaded.folder} cannot be a {to} model: {reasons[to]}")


def _equivalents(loaded: LoadedModel) -> Iterator[tuple[TransformerConfig, dict[str, Tensor]]]:
    """Yield the network as it is, and with its features in the order of published sinusoids."""
    config, tensors = loaded.config, dict(loaded.model.state_dict())
    yield config, tensors
    if config.positions == "sinusoidal" and config.d_model % 2 == 0:
        permuted, permuted_config = permute_to_halved_sinusoids(tensors, config)
        yield permuted_config, permuted


def _as_family(name: str, config: TransformerConfig, tensors: dict[str, Tensor]) -> PublishedModel:
    """Return a model of a family. Raises ConfigError if it reads back as another network."""
    family = FAMILIES[name]
    options = family.write(config)
    try:
        stored = dict(family.store(tensors, config))
        back = family.read(ConfigReader(options, f"the {name} config"), Tensors(stored))
    except UnmappedError as error:
        raise ConfigError(f"it has no tensor for our {error.args[0]}") from None
    except CheckpointError as error:
        raise ConfigError(str(error)) from None
    was, would_be = _network(config), _network(back)
    for field, value in was.items():
        if value != would_be[field]:
            raise ConfigError(f"it supports {field} {would_be[field]!r} here, not {value!r}")
    return PublishedModel(name, options, stored)


def _network(config: TransformerConfig) -> dict[str, Any]:
    """Return the fields that determine what a network computes, with defaults resolved."""
    fields = config_to_fields(config)
    fields["kv_heads"], fields["d_head"] = config.key_value_heads, config.head_width
    fields["attention_bias"], fields["attention_scale"] = config.has_attention_bias, config.scale
    fields["source_vocab_size"] = config.source_vocabulary
    irrelevant = set(_TRAINING.split())
    for field, kinds, others in _ONLY_WITH:
        irrelevant.update(() if fields[field] in kinds else others)
    return {name: value for name, value in fields.items() if name not in irrelevant}


def _write_native(folder: Path, loaded: LoadedModel) -> None:
    card = {"converted from": loaded.folder.name}
    weights = loaded.model.state_dict()
    save_model(
        folder, loaded.config, weights, loaded.tokenizer, card=card, generation=loaded.generation
    )
    if (loaded.folder / TOKENIZER).is_file():
        _copy_tokenizer(loaded.folder, folder)
        return
    if loaded.target_tokenizer is not loaded.tokenizer:
        (folder / TARGET_TOKENIZER).write_text(loaded.target_tokenizer.to_json(), encoding="utf-8")
    template = chat_template_text(loaded.folder)
    if template is not None:
        write_chat_template(folder, template)


def _write_published(folder: Path, loaded: LoadedModel, published: PublishedModel) -> None:
    settings = generation_settings(loaded.generation)
    if loaded.config.shape == "encoder-decoder" and loaded.decoder_start_id is not None:
        settings["decoder_start_token_id"] = loaded.decoder_start_id
    config = {
        "model_type": published.model_type,
        "architectures": [FAMILIES[published.model_type].architecture],
        "dtype": str(next(iter(published.tensors.values())).dtype).removeprefix("torch."),
        **{name: value for name, value in settings.items() if name.endswith("_token_id")},
        **published.options,
    }
    (folder / CONFIG).write_text(to_json(config), encoding="utf-8")
    (folder / GENERATION).write_text(to_json(settings), encoding="utf-8")
    card = {"converted from": loaded.folder.name}
    (folder / CARD).write_text(model_card(loaded.config, card), encoding="utf-8")
    save_tensors(folder / WEIGHTS, published.tensors)
    _copy_tokenizer(loaded.folder, folder)
    if not (loaded.folder / TOKENIZER_CONFIG).is_file():
        _write_tokenizer(folder, loaded)


def _copy_tokenizer(folder: Path, out: Path) -> None:
    for name in (*TOKENIZER_FILES, *CHAT_FILES):
        if name != CONFIG and (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)


def _write_tokenizer(folder: Path, loaded: LoadedModel) -> None:
    """Write tokenizer.json and its configuration for transformers, with a source text's affixes."""
    generation, tokenizer = loaded.generation, loaded.tokenizer
    ids = {
        "bos_token": generation.bos_token_id,
        "eos_token": generation.end_id,
        "pad_token": generation.pad_token_id,
        "unk_token": tokenizer.role("unknown"),
    }
    names = {role: tokenizer.token(i) for role, i in ids.items() if i is not None}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": loaded.config.max_positions,
        "clean_up_tokenization_spaces": False,
        **names,
    }
    (folder / TOKENIZER_CONFIG).write_text(to_json(settings), encoding="utf-8")
    affixes = loaded.special_affixes if loaded.config.has_encoder else tokenizer.special_affixes()
    (folder / TOKENIZER).write_text(tokenizer.to_json(special_affixes=affixes), encoding="utf-8")
