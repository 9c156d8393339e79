"""The keys of a recipe, as `train --keys` lists them, and the key that a mistaken one means."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ..bounds import descriptions
from ..config import TransformerConfig
from ..errors import ConfigError, UnknownNameError
from ..registry import either, likely_names

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
    """Return the message for a key that does not exist, with those that it may mean."""
    if isinstance(value, Mapping):  # a section, of which the key within may be right
        sections = {key.partition(".")[0] for key in names if "." in key}
        inner = (likely_keys(f"{name}.{key}", names) for key in value)
        likely = likely_keys(name, sections) or next(filter(None, inner), [])
    else:
        likely = likely_keys(name, names)
    hint = f"did you mean {either(likely)}? " if likely else ""
    return f"unknown recipe key {name}; {hint}(transduce train --keys lists all)"


def likely_keys(name: str, names: Iterable[str]) -> list[str]:
    """Return the keys that a mistaken one most likely means.

    A key of the right name in another section comes first: `learning_rate` alone and
    `model.learning_rate` mean `training.learning_rate`.

    >>> keys = ["training.steps", "training.warmup", "model.dropout"]
    >>> likely_keys("steps", keys), likely_keys("training.dropout", keys)
    (['training.steps'], ['model.dropout'])
    >>> likely_keys("training.wramup", keys), likely_keys("colour", keys)
    (['training.warmup'], [])
    """
    known = list(names)
    last = {key: key.rpartition(".")[2] for key in known}
    wanted = name[:100].rpartition(".")[2]
    if elsewhere := [key for key in known if last[key] == wanted]:
        return elsewhere
    if whole := likely_names(name, known):
        return whole
    similar = likely_names(wanted, {*last.values()})
    return [key for key in known if last[key] in similar]
