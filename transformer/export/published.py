"""Networks as models of published families, and which of these can express a network."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

from checkpoints import CheckpointError, Tensors

from ..attention import ATTENTION
from ..config import TransformerConfig
from ..config_fields import config_to_fields
from ..errors import ConfigError
from ..families import (
    FAMILIES,
    MODEL_TYPE,
    ConfigReader,
    permute_to_halved_sinusoids,
)
from ..loading.load import LoadedModel
from ..model import Transformer
from ..positions import POSITIONS

PUBLISHED = "huggingface"  # the first family that can express the network
_FAMILIES = [name for name in FAMILIES if name != MODEL_TYPE]

# Fields that only training uses, and those that only some values of another field use.
_TRAINING = "initialization initialization_std dropout attention_dropout activation_dropout"
_ONLY_WITH = (
    ("shape", ("encoder-decoder",), ("share_embeddings",)),
    ("head", ("classification",), ("classifier_pooling", "classifier_layer")),
)


class PublishedModel(NamedTuple):
    """A network as a model of a published family."""

    model_type: str
    architecture: str  # its class in transformers
    options: dict[str, Any]  # of config.json
    tensors: dict[str, Tensor]


def to_published(loaded: LoadedModel, to: str, *, former: object = None) -> PublishedModel:
    """Return a model as one of a family; `huggingface` is the first that can express it.

    The first to be tried is the `former` family, which a model was of before it was trained here.
    """
    reasons: dict[str, str] = {}
    families = _FAMILIES if to == PUBLISHED else [to]
    for name in sorted(families, key=lambda name: name != former):
        for config, tensors in _equivalents(loaded):
            try:
                return _as_family(name, config, tensors)
            except ConfigError as error:
                reasons[name] = str(error)
    if to == PUBLISHED:
        raise ConfigError(
            f"no published family has networks like that of {loaded.folder}; it can stay as it is "
            f"(--to {MODEL_TYPE})"
        )
    able = [name for name in FAMILIES if name != to and _fits(name, loaded)]
    raise ConfigError(
        f"{loaded.folder} cannot be a {to} model: {reasons[to]}; it can be --to {', '.join(able)}"
    )


def published_family(config: TransformerConfig) -> str | None:
    """Return the first family that can express a network, whatever its weights; None if none."""
    with torch.device("meta"):
        tensors = dict(Transformer(config).state_dict())
    for name in _FAMILIES:
        with suppress(ConfigError):
            return _as_family(name, config, tensors).model_type
    return None


def _fits(name: str, loaded: LoadedModel) -> bool:
    """Return True if a family can express a model's network; our own always can."""
    if name == MODEL_TYPE:
        return True
    for config, tensors in _equivalents(loaded):
        with suppress(ConfigError):
            _as_family(name, config, tensors)
            return True
    return False


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
    unmapped = family.names(config).unmapped(tensors)
    mapped = {ours: tensor for ours, tensor in tensors.items() if ours not in unmapped}
    try:
        stored = dict(family.store(mapped, config))
        back = family.read(ConfigReader(options, f"the {name} config"), Tensors(stored))
    except CheckpointError as error:
        raise ConfigError(str(error)) from None
    for was, would_be in _layer_networks(config, back):
        for field, value in was.items():
            if value != would_be[field]:
                raise ConfigError(f"it supports {field} {would_be[field]!r} here, not {value!r}")
    if unmapped:
        raise ConfigError(f"its networks have no place for the weights {unmapped[0]}")
    return PublishedModel(name, family.architecture_of(config), options, stored)


def _layer_networks(
    one: TransformerConfig, other: TransformerConfig
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield what determines the networks of each layer, for two lists may say the same of them."""
    layers = max(one.encoder_layers, one.decoder_layers) if one.layers or other.layers else 1
    for number in range(layers):
        yield _network(one.of_layer(number)), _network(other.of_layer(number))


def _network(config: TransformerConfig) -> dict[str, Any]:
    """Return the fields that determine what a network computes, with defaults resolved."""
    fields = config_to_fields(config)
    fields["kv_heads"], fields["d_head"] = config.key_value_heads, config.head_width
    fields["attention_bias"], fields["attention_scale"] = config.has_attention_bias, config.scale
    fields["attention_output_bias"] = config.has_attention_output_bias
    fields["source_vocab_size"] = config.source_vocabulary
    fields["max_target_positions"] = config.target_positions
    irrelevant = set(_TRAINING.split())
    for field, kinds, others in _ONLY_WITH:
        irrelevant.update(() if fields[field] in kinds else others)
    of_kinds = {name for kind in ATTENTION.values() for name in kind.fields}
    of_kinds |= {name for positions in POSITIONS.values() for name in positions.fields}
    used = (*ATTENTION[config.attention].fields, *POSITIONS[config.positions].fields)
    irrelevant |= of_kinds - {*used}
    return {name: value for name, value in fields.items() if name not in irrelevant}
