"""Configurations as plain fields, and back. Imports no torch."""

from collections.abc import Collection
from typing import Any

import msgspec

from .bounds import convert
from .config import TransformerConfig
from .errors import ConfigError
from .layer_spec import LayerSpec
from .registry import suggest


def require_known_fields(
    config: TransformerConfig, known: Collection[str], *, refusal: str
) -> None:
    """Raise ConfigError, with `refusal`, for a field outside `known` that is not its default.

    Code that rewrites networks lists the fields that it was written for, so that a field added
    later is refused instead of ignored.
    """
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        if field.name not in known and value != field.default:
            raise ConfigError(f"{refusal}: {field.name} is {value!r}")


def config_from_fields(fields: dict[str, Any]) -> TransformerConfig:
    """Build a configuration from a mapping, as read from JSON or a recipe.

    A layer may be the name of its kind of attention. Raises a ConfigError that names the field and
    what is wrong with it.
    """
    _check_names(fields, TransformerConfig, "a model")
    layers = fields.get("layers")
    if isinstance(layers, list | tuple):
        fields = {**fields, "layers": [_layer_fields(each) for each in layers]}
    return convert(fields, TransformerConfig)


def _layer_fields(layer: object) -> object:
    """Return the fields of a layer; of a name, which is a kind of attention, it is that alone."""
    if isinstance(layer, str):
        return {"attention": layer}
    if isinstance(layer, dict):
        _check_names(layer, LayerSpec, "a layer")
    return layer


def _check_names(fields: Collection[str], kind: type[msgspec.Struct], owner: str) -> None:
    known = kind.__struct_fields__
    for name in fields:
        if name not in known:
            raise ConfigError(f"no field of {owner} is called {name!r}; {suggest(name, known)}")


def config_to_fields(config: TransformerConfig) -> dict[str, Any]:
    """Return all fields as plain JSON values."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    return fields
