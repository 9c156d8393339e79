"""JSON schemas (json-schema.org, draft 2020-12) as far as a grammar can keep them: each keyword is
kept or refused, and none is passed over."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ...errors import ConfigError
from ...registry import suggest

Schema = Any  # a mapping or a truth value

_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_DRAFTS = ("draft-06", "draft-07", "2019-09", "2020-12")  # where the keywords below mean the same
_LARGEST = 2**53  # beyond it whole numbers are no longer exact in JSON's usual readers

_DAYS = (
    r"([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
    r"|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
)
_TIME = (
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"

# Formats as patterns: what they let through is valid, though not all that is valid gets through.
FORMATS: dict[str, str] = {
    "date": _DAYS,
    "time": _TIME,
    "date-time": f"{_DAYS}T{_TIME}",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "ipv6": r"[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}",
    "hostname": rf"{_LABEL}(\.{_LABEL}){{0,6}}",
    "email": rf"[A-Za-z0-9_+-]{{1,30}}(\.[A-Za-z0-9_+-]{{1,30}})?@{_LABEL}(\.{_LABEL}){{1,5}}",
}

# What says nothing about the text.
_REMARKS = {
    *("title", "description", "default", "examples"),
    *("$comment", "readOnly", "writeOnly", "deprecated"),
}
_ONE, _MANY = ("additionalProperties", "items"), ("prefixItems", "anyOf", "oneOf", "allOf")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_NAMED = ("properties", "patternProperties", "$defs", "definitions")


def _is_schema(value: Any) -> bool:
    return isinstance(value, bool | Mapping)


def _is_schemas(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_schema, value))


def _is_named_schemas(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_schema, value.values()))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100_000


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) and value else [value]
    return all(isinstance(name, str) and name in _TYPES for name in names)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


# What each keyword's value must be.
_KEPT: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(_ONE, ("a schema", _is_schema)),
    **dict.fromkeys(_MANY, ("a list of schemas", _is_schemas)),
    **dict.fromkeys(_NAMED, ("an object of schemas", _is_named_schemas)),
    **{
        f"{side}{what}": ("a whole number from 0 to 100,000", _is_count)
        for side in ("min", "max")
        for what in ("Length", "Items", "Properties")
    },
    **dict.fromkeys(_BOUNDS, ("a number of at most 2⁵³", _is_number)),
    "multipleOf": ("a number above 0, at most 2⁵³", lambda v: _is_number(v) and v > 0),
    "type": (f"of {', '.join(_TYPES)}, one or a list", _is_type),
    "enum": ("a list", lambda v: isinstance(v, list)),
    "const": ("a value", lambda _: True),
    "required": ("a list of names", _is_strings),
    "pattern": ("a text", lambda v: isinstance(v, str)),
    "format": (f"one of {', '.join(FORMATS)}", lambda v: isinstance(v, str) and v in FORMATS),
    "$ref": ("a text", lambda v: isinstance(v, str)),
}


def checked(schema: Schema) -> Schema:
    """The schema as a grammar keeps it: formats as patterns, and `false` for what only endless
    texts would satisfy.

    Raises ConfigError that names a keyword which cannot be kept, and where it stands.
    """
    if not _is_schema(schema):
        raise ConfigError("a JSON schema must be an object, or true or false")
    places = dict(_places(schema, "#", root=True))
    for place, found in places.items():
        if isinstance(found, Mapping) and "$ref" in found and _target(found) not in places:
            raise ConfigError(
                f"{place}: $ref to {found['$ref'][:80]!r}, where the schema has no schema"
            )
    return _rewritten(schema, _finite(places))


def _places(schema: Schema, place: str, *, root: bool = False) -> Iterator[tuple[str, Schema]]:
    """Each schema in a schema, with a pointer to it; all are checked on the way."""
    yield place, schema
    if isinstance(schema, bool):
        return
    _check(schema, place, root=root)
    for name, inner in _inner(schema):
        yield from _places(inner, f"{place}/{name}")


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """The schemas directly in a schema, with the pointer's next steps."""
    for keyword, value in schema.items():
        if keyword in _ONE:
            yield keyword, value
        elif keyword in _MANY:
            yield from ((f"{keyword}/{n}", inner) for n, inner in enumerate(value))
        elif keyword in _NAMED:
            for name, inner in value.items():
                yield f"{keyword}/{name.replace('~', '~0').replace('/', '~1')}", inner


def _check(schema: Mapping[str, Any], place: str, *, root: bool) -> None:
    for keyword, value in schema.items():
        if keyword in _REMARKS or (root and keyword == "$id"):
            continue
        if root and keyword == "$schema":
            if not any(draft in str(value) for draft in _DRAFTS):
                raise ConfigError(f"$schema is {value!r}; known drafts: {', '.join(_DRAFTS)}")
            continue
        if keyword not in _KEPT:
            raise ConfigError(
                f"{place}: the keyword {keyword!r} cannot be kept; {suggest(keyword, _KEPT)}"
            )
        allowed, fits = _KEPT[keyword]
        if not fits(value):
            raise ConfigError(f"{place}: {keyword} is {str(value)[:60]}; it must be {allowed}")
    # Names beyond those listed may come twice, and then count as one.
    if schema.get("minProperties", 0) > len(set(schema.get("required", ()))) + 1:
        raise ConfigError(
            f"{place}: minProperties is {schema['minProperties']}; that can be kept up to one more "
            "than there are names in required"
        )


def _target(schema: Mapping[str, Any]) -> str:
    return unquote(schema["$ref"]).removesuffix("/") or "#"


def _finite(places: Mapping[str, Schema]) -> set[str]:
    """The places whose schemas some finite text may satisfy: the least fixed point."""
    found: set[str] = set()
    grown = True
    while grown:
        more = {p for p, schema in places.items() if p not in found and _may_end(schema, found)}
        grown = bool(more)
        found |= more
    return found


def _may_end(schema: Schema, finite: set[str]) -> bool:
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema and _target(schema) not in finite:
        return False
    if not all(_may_end(part, finite) for part in schema.get("allOf", ())):
        return False
    options = [schema[name] for name in ("anyOf", "oneOf") if name in schema]
    if not all(any(_may_end(part, finite) for part in parts) for parts in options):
        return False
    if "enum" in schema or "const" in schema:
        return True
    types = schema.get("type", list(_TYPES))
    return any(
        all(_may_end(part, finite) for part in _needed(schema, name))
        for name in ([types] if isinstance(types, str) else types)
    )


def _needed(schema: Mapping[str, Any], name: str) -> list[Schema]:
    """The schemas of what a value of a type cannot be without."""
    if name == "array":
        leading: Sequence[Schema] = schema.get("prefixItems", ())
        least = schema.get("minItems", 0)
        return [*leading[:least], *[schema.get("items", True)] * (least > len(leading))]
    if name == "object":
        listed, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        loose = True if schema.get("patternProperties") else other
        return [listed.get(key, loose) for key in schema.get("required", ())]
    return []


def _rewritten(schema: Schema, finite: set[str]) -> Schema:
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema and _target(schema) not in finite:
        return False
    kept: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _ONE:
            kept[keyword] = _rewritten(value, finite)
        elif keyword in _MANY:
            kept[keyword] = [_rewritten(inner, finite) for inner in value]
        elif keyword in _NAMED:
            kept[keyword] = {name: _rewritten(inner, finite) for name, inner in value.items()}
        elif keyword in _KEPT and keyword != "format":
            kept[keyword] = value
    if "format" in schema:
        form = {"pattern": f"^({FORMATS[schema['format']]})$"}
        kept["allOf"] = [*kept.get("allOf", ()), form]
    return kept
