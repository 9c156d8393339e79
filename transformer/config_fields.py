"""Configurations as plain fields, and back. Imports no torch."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from .bounds import convert, shown
from .config import TransformerConfig
from .errors import ConfigError
from .layer_spec import LayerSpec, RotaryScaling
from .registry import suggest

_SCALING = "rotary_scaling"


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
            raise ConfigError(f"{refusal}: {field_in_words(config, field.name)}")


def field_in_words(config: TransformerConfig, name: str) -> str:
    """Return a field with its value as messages tell it.

    Of layers these are the fields that some have of their own, and of rotary scaling its kind.
    """
    value = getattr(config, name)
    if name == "layers" and value is not None:
        return f"layers have {', '.join(own_fields(config))} of their own"
    if isinstance(value, RotaryScaling):
        return f"{name} is {value.kind!r}"
    return f"{name} is {value!r}"


def own_fields(config: TransformerConfig) -> list[str]:
    """Return the names of the fields that some layers have of their own."""
    names, layers = LayerSpec.__struct_fields__, config.layers or ()
    return [name for name in names if any(getattr(each, name) is not None for each in layers)]


def config_from_fields(fields: dict[str, Any]) -> TransformerConfig:
    """Build a configuration from a mapping, as read from JSON or a recipe.

    A layer may be the name of its kind of attention. Raises a ConfigError that names the field and
    what is wrong with it.
    """
    _check_names(fields, TransformerConfig, "a model")
    layers = fields.get("layers")
    if isinstance(layers, list | tuple):
        fields = {**fields, "layers": [*map(_layer_fields, layers, range(len(layers)))]}
    return convert(fields, TransformerConfig)


def _layer_fields(layer: object, number: int) -> dict[str, Any] | LayerSpec:
    """Return the fields of a layer; of a name, which is a kind of attention, it is that alone."""
    if isinstance(layer, LayerSpec):
        return layer
    if isinstance(layer, str):
        return {"attention": layer}
    if not isinstance(layer, dict):
        raise ConfigError(
            f"layers[{number}] is {shown(layer)}; it must be a name of attention or a table"
        )
    known = LayerSpec.__struct_fields__
    for name in TransformerConfig.__struct_fields__:
        if name in layer and name not in known:
            raise ConfigError(
                f"layers[{number}] has {name}, which belongs to [model], not to a layer: set "
                f"model.{name}; a layer may have {', '.join(sorted(known))}"
            )
    _check_names(layer, LayerSpec, "a layer")
    return layer


def _check_names(fields: Mapping[str, Any], kind: type[msgspec.Struct], owner: str) -> None:
    """Raise ConfigError for a name that a kind has not, nor its table of rotary scaling."""
    known = kind.__struct_fields__
    for name, value in fields.items():
        if name not in known:
            raise ConfigError(f"no field of {owner} is called {name!r}; {suggest(name, known)}")
        if name == _SCALING and isinstance(value, dict):
            _check_names(value, RotaryScaling, _SCALING)


def config_to_fields(config: TransformerConfig) -> dict[str, Any]:
    """Return all fields as plain JSON values."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    return fields
