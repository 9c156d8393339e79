"""Bounds of numbers, declared beside each field as `msgspec.Meta`, and the one reader of them.

msgspec itself checks them only where it converts, and its message does not say the value.
"""

import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import Meta

from .errors import ConfigError, UnknownNameError
from .registry import suggest

Kind = TypeVar("Kind")
_EXPECTED = re.compile(r"Expected `(?P<kinds>[^`]+)`, got `[^`]+` - at `\$\.(?P<name>[^`]+)`")
_NOT_ALLOWED = re.compile(r"Invalid enum value .* - at `\$\.(?P<name>[^`]+)`", re.DOTALL)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "array": "a list",
    "object": "a table",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


def doc(text: str) -> Meta:
    """Return the description of a field, to stand last in its annotation."""
    return Meta(description=text)


def descriptions(kind: type) -> dict[str, str]:
    """Return the descriptions of a struct's fields by name; see `doc`."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: str(_own_description(hint)) for name, hint in hints.items()}


def _own_description(hint: Any) -> str:
    last = get_args(hint)[-1] if get_origin(hint) is Annotated else None
    return (isinstance(last, Meta) and last.description) or ""


def check_number(name: str, value: float, bounds: Meta) -> None:
    """Raise ConfigError unless a number is finite and within its bounds.

    The `description` of the bounds, if there is one, is added to the message.
    """
    limits = _limits(bounds)
    finite = -math.inf < value < math.inf
    inside = finite and all(getattr(operator, key)(value, limits[key]) for key in limits)
    if inside and (bounds.multiple_of is None or value % bounds.multiple_of == 0):
        return
    words = {"ge": "at least ", "gt": "above ", "le": "at most ", "lt": "below "}
    if {"ge", "le"} <= limits.keys():
        words |= {"ge": "between ", "le": ""}
    allowed = ["a whole number"] if bounds.multiple_of else [] if finite else ["a finite number"]
    allowed += [f"{words[key]}{limit:,.16g}" for key, limit in limits.items()]
    hint = f" ({bounds.description})" if bounds.description else ""
    raise ConfigError(f"{name} is {value}; it must be {' and '.join(allowed)}{hint}")


@cache
def _limits(bounds: Meta) -> dict[str, float]:
    """Return the limits that there are, by the name of their comparison."""
    sides = {key: getattr(bounds, key) for key in ("ge", "gt", "le", "lt")}
    return {key: limit for key, limit in sides.items() if limit is not None}


def check_text(name: str, value: object) -> None:
    """Raise ConfigError for a text, or one of a list, that no encoding has.

    The command line's arguments may be of any bytes; those that are not UTF-8 come as lone
    surrogates, which no tokenizer, grammar or file takes.
    """
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str) and _SURROGATE.search(text):
            shown = repr(text[:60]) + "…" * (len(text) > 60)
            raise ConfigError(f"{name} is {shown}, which is not UTF-8; give it as UTF-8 text")


def check_bounds(fields: object, kind: type | None = None) -> None:
    """Raise ConfigError for a number that is outside the bounds beside its field.

    `fields` is an instance of a struct or dataclass, or a mapping with the fields of `kind`. The
    fields of structs within, and the items of lists and tuples, are checked too.
    """
    _check(fields, kind or type(fields), "")


def convert(fields: Mapping[str, Any], kind: type[Kind], *, prefix: str = "") -> Kind:
    """Return an instance of `kind` with these fields, as read from JSON or TOML.

    Raises ConfigError for a value outside its bounds or of another type (`prefix` goes before what
    msgspec says of the latter), and what the `__post_init__` of `kind` raises.
    """
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ConfigError | UnknownNameError):
            raise error.__cause__ from None
        check_bounds(fields, kind)
        raise ConfigError(_mistake(fields, kind, str(error)) or f"{prefix}{error}") from None


def shown(value: object) -> str:
    """Return a value as messages show it, at most its first 60 characters."""
    text = repr(value)
    return f"{text[:60]}…" if len(text) > 60 else text


def _mistake(fields: Any, kind: type, message: str) -> str | None:
    """Return a line for a value of another type or name: its name, itself, and what it must be."""
    match = _EXPECTED.match(message) or _NOT_ALLOWED.match(message)
    if match is None:
        return None
    value, name = fields, match["name"]
    path = re.findall(r"[^.\[\]]+", name)
    try:
        for key in path:
            value = value[int(key) if isinstance(value, list) else key]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if match.re is _NOT_ALLOWED:
        return f"{name} is {shown(value)}; {suggest(str(value), _names_at(kind, path))}"
    kinds = (each.strip() for each in match["kinds"].split("|"))
    allowed = [_KINDS.get(each, each) for each in kinds if each != "null"]
    return f"{name} is {shown(value)}; it must be {' or '.join(allowed)}"


def _names_at(hint: Any, path: Sequence[str]) -> Iterator[str]:
    """Yield what a value may be, by name or kind, that lies at a path within a type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        yield from args
    elif isinstance(hint, type) and issubclass(hint, msgspec.Struct) and path:
        yield from _names_at(get_type_hints(hint, include_extras=True)[path[0]], path[1:])
    elif isinstance(hint, type) and hint.__name__ in _KINDS and not path:
        yield _KINDS[hint.__name__]
    for arg in args if origin is not Literal else ():
        yield from _names_at(arg, path[1:] if origin in (list, tuple, dict) else path)


def _check(value: Any, hint: Any, name: str) -> None:
    """Check a value, and all within it, against the bounds in its annotation."""
    if value is None:
        return
    origin, args = _bounded_parts(hint)
    if origin is Annotated:
        _check(value, args[0], name)
        for bounds in args[1:] if isinstance(value, int | float) else ():
            check_number(name, value, bounds)
    elif origin in (Union, UnionType):
        for arg in args:
            _check(value, arg, name)
    elif origin in (list, tuple, dict):
        for suffix, item, arg in _items(value, args):
            _check(item, arg, f"{name}{suffix}")
    elif isinstance(hint, type):
        for field, bounded in _bounded_fields(hint).items():
            item = value.get(field) if isinstance(value, Mapping) else getattr(value, field, None)
            _check(item, bounded, f"{name}.{field}" if name else field)


@cache
def _bounded_parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the origin of an annotation and its arguments: of a union, those with bounds."""
    origin, args = get_origin(hint), get_args(hint)
    return origin, tuple(filter(_has_bounds, args)) if origin in (Union, UnionType) else args


def _items(value: Any, args: tuple[Any, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the items of a list, a tuple or a table: what follows its name, itself, its type."""
    if isinstance(value, list | tuple):
        args = args[:1] if args[1:] == (...,) else args  # all of one kind
        for index, (item, arg) in enumerate(zip(value, args * len(value), strict=False)):
            yield f"[{index}]", item, arg
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f".{key}", item, args[-1]


@cache
def _bounded_fields(kind: type) -> dict[str, Any]:
    """Return the annotations of a class that have bounds in them, by field."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint for name, hint in hints.items() if _has_bounds(hint)}


def _has_bounds(hint: Any) -> bool:
    has_fields = isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or is_dataclass(hint))
    return has_fields or get_origin(hint) is Annotated or any(map(_has_bounds, get_args(hint)))
