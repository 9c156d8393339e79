"""The configuration of a run's network, as its recipe, its objective and its labels have it."""

from typing import Any, NamedTuple

import msgspec

from tokenizer.quantities import format_count

from ..config import TransformerConfig
from ..errors import ConfigError
from ..labels import LabelInventory
from ..presets import preset_config
from ..registry import either
from .objectives import OBJECTIVES
from .recipe import Recipe

HEAD_KEYS = ("classifier_pooling", "classifier_layer")  # that a recipe may set with --init
_IDENTITY = ("head", "labels", "label_kind")  # fields that tell one head from another
_HEAD_FIELDS = (*_IDENTITY, *HEAD_KEYS)


def model_config(
    recipe: Recipe, vocab_size: int, labels: LabelInventory | None = None
) -> TransformerConfig:
    """Return the recipe's preset with what its objective needs, and with its own changes.

    The vocabulary size is the tokenizer's and the context the objective's, unless set; without
    labels, a head over labels has as many as are needed to try it. Raises ConfigError if the shape
    is not the objective's, or the vocabulary or the context is too small.
    """
    objective = OBJECTIVES[recipe.objective]
    lengths = (objective.max_length(recipe), objective.max_target_length(recipe))
    fields = {"vocab_size": vocab_size, "max_positions": max(lengths), **recipe.model}
    preset = fields.pop("preset")
    head = objective.head_fields(preset_config(preset, **fields), labels)
    config = preset_config(preset, **{**head, **fields})
    if config.shape not in objective.shapes:
        raise ConfigError(
            f"the objective {recipe.objective} trains {either(objective.shapes)} models; "
            f"preset {preset} is {config.shape}"
        )
    if config.vocab_size < vocab_size:
        raise ConfigError(
            f"model.vocab_size is {config.vocab_size:,}, but the tokenizer has {vocab_size:,} "
            "tokens; leave it out, or give at least as many"
        )
    if short := short_positions(config, recipe):
        length = format_count(short.length, "token")
        raise ConfigError(
            f"model.{short.field} is {short.positions}, but the recipe trains on {short.texts} "
            f"of up to {length}; raise it, or lower {short.key}"
        )
    return config


class ShortPositions(NamedTuple):
    """Positions that a model has too few of, for the longest texts of a recipe."""

    field: str
    positions: int
    noun: str
    texts: str
    length: int
    key: str  # to lower


def short_positions(config: TransformerConfig, recipe: Recipe) -> ShortPositions | None:
    """Return the positions that are too few for a recipe, if there are."""
    objective = OBJECTIVES[recipe.objective]
    length, target = objective.max_length(recipe), objective.max_target_length(recipe)
    key, positions = objective.rules.length, config.max_positions
    if positions < length:
        return ShortPositions("max_positions", positions, "position", "texts", length, key)
    if config.target_positions < target:
        field, noun = "max_positions", "position"
        if config.max_target_positions is not None:
            field, noun = "max_target_positions", "target position"
        key, positions = objective.rules.target_length or key, config.target_positions
        return ShortPositions(field, positions, noun, "targets", target, key)
    return None


def further_config(
    config: TransformerConfig,
    recipe: Recipe,
    labels: LabelInventory | None = None,
) -> TransformerConfig:
    """Return the configuration of a model that is trained further, with the head that it needs.

    That is its own if the objective has one of the same kind and size; else a new one.
    """
    head = OBJECTIVES[recipe.objective].head_fields(config, labels)
    told = {key: recipe.model[key] for key in HEAD_KEYS if key in recipe.model}
    kind = {key: value for key, value in head.items() if key in _IDENTITY} | told
    if all(getattr(config, key) == value for key, value in kind.items()):
        return config
    plain = {key: _default(key) for key in _HEAD_FIELDS}
    return msgspec.structs.replace(config, **{**plain, **head, **told})


def _default(key: str) -> Any:
    return next(f.default for f in msgspec.structs.fields(TransformerConfig) if f.name == key)
