"""The keys of a recipe, as `train --keys` lists them, and the key that a mistaken one means."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ..bounds import descriptions
from ..config import TransformerConfig
from ..errors import ConfigError, UnknownNameError
from ..registry import nearest

_MODEL = "model"


class RecipeKey(NamedTuple):
    """A key of a recipe by its dotted name, such as `training.steps`."""

    name: str
    default: Any  # None: decided elsewhere, by the preset, the tokenizer or the data
    description: str


def recipe_keys(recipe: type[msgspec.Struct]) -> Iterator[RecipeKey]:
    """Yield all keys of a recipe, section by section, those of its model included."""
    yield from _keys(recipe, "")


def _keys(kind: type[msgspec.Struct], prefix: str) -> Iterator[RecipeKey]:
    described = descriptions(kind)
    for field in msgspec.structs.fields(kind):
        name = prefix + field.name
        if _is_section(field.type):
            yield from _keys(field.type, f"{name}.")
        elif name == _MODEL:
            yield RecipeKey("model.preset", None, "size of the model; train --presets lists them")
            yield from (key._replace(default=None) for key in _keys(TransformerConfig, "model."))
        else:
            yield RecipeKey(name, _default(field), described[field.name])


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    made = field.default_factory is not msgspec.NODEFAULT
    return field.default_factory() if made else field.default


def check_keys(fields: Mapping[str, Any], recipe: type[msgspec.Struct]) -> None:
    """Raise an error for nested dictionaries with a key that the recipe has not.

    Raises UnknownNameError, which names the nearest key of all sections, or ConfigError where a
    section is a value.
    """
    names = [key.name for key in recipe_keys(recipe)]
    for key, value in fields.items():
        prefix = f"{key}."
        if not any(name.startswith(prefix) for name in names):
            if key not in names:
                raise UnknownNameError(_unknown_key(key, value, names))
        elif not isinstance(value, Mapping):
            raise ConfigError(f"recipe: {key} is a section, not a value; set {key}.… instead")
        else:
            for name in (prefix + each for each in value):
                if name not in names:
                    raise UnknownNameError(_unknown_key(name, None, names))


def _unknown_key(name: str, value: Any, names: list[str]) -> str:
    """Return the message for a key that does not exist, with the nearest that does."""
    if isinstance(value, Mapping):  # a section, of which the key within may be right
        near = nearest_key(name, {key.partition(".")[0] for key in names if "." in key})
        near = near or next(
            filter(None, (nearest_key(f"{name}.{key}", names) for key in value)), ""
        )
    else:
        near = nearest_key(name, names)
    hint = f"did you mean {near}? " if near else ""
    return f"unknown recipe key {name}; {hint}(transduce train --keys lists all)"


def nearest_key(name: str, names: Iterable[str]) -> str | None:
    """Return the key that a mistaken one most likely means, if any is likely.

    A key of the right name in another section comes first: `learning_rate` alone and
    `model.learning_rate` mean `training.learning_rate`.

    >>> keys = ["training.steps", "training.warmup", "model.dropout"]
    >>> nearest_key("steps", keys), nearest_key("training.dropout", keys)
    ('training.steps', 'model.dropout')
    >>> nearest_key("training.wramup", keys), nearest_key("colour", keys)
    ('training.warmup', None)
    """
    known = list(names)
    last = {key: key.rpartition(".")[2] for key in known}
    wanted = name[:100].rpartition(".")[2]
    elsewhere = [key for key in known if last[key] == wanted]
    if elsewhere:
        return elsewhere[0]
    if (close := nearest(name, known)) is not None:
        return close
    similar = nearest(wanted, last.values())
    return next((key for key in known if last[key] == similar), None)
