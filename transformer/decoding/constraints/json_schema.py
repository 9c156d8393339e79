"""JSON schemas (json-schema.org, draft 2020-12) made ready for llguidance.

Whatever it would ignore or get wrong (as of 1.9.1) is refused or rewritten here. What else it
cannot keep, it refuses itself.
"""

import re
from collections.abc import Sequence
from itertools import repeat
from math import copysign, inf
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import msgspec
from msgspec import Meta

from ...errors import ConfigError
from ...registry import suggest
from .literals import literals_of, value_literals

# llguidance has a February 29 in every year, a second 60 in every minute, and names of any length.
_DATE = (
    r"^[0-9]{4}-(0[13-9]|1|02-[01]|02-2[0-8])"
    r"|^([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29"
)
_TIME = ":[0-9]{2}:[0-5]"
# The formats, each with patterns that hold beside llguidance's own.
FORMATS: dict[str, tuple[str, ...]] = {
    "date": (_DATE,),
    "time": (_TIME,),
    "date-time": (_DATE, _TIME),
    "email": (r"^[^@]{1,64}@[^.]{1,63}(\.[^.]{1,63}){0,2}$",),
    "hostname": ("^(-?[^-]){1,125}$",),  # no "--", which marks encoded names
    **dict.fromkeys(("duration", "ipv4", "ipv6", "uri", "uuid"), ()),
}

_Schema = bool | dict[str, Any]
_Schemas = list[_Schema]
_NamedSchemas = dict[str, _Schema]
_Count = Annotated[int, Meta(ge=0, le=100_000)]
_Type = Literal["null", "boolean", "integer", "number", "string", "array", "object"]

# The types of the keywords' values. llguidance ignores keywords that it does not know or that do
# not apply to the type, and takes values of older drafts.
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("items", "additionalProperties"), _Schema),
    **dict.fromkeys(("prefixItems", "anyOf", "oneOf", "allOf"), _Schemas),
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), _NamedSchemas),
    **dict.fromkeys(("minLength", "minItems", "minProperties"), _Count),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties"), _Count),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), float),
    "multipleOf": Annotated[float, Meta(gt=0)],
    "type": _Type | list[_Type],
    "enum": list[Any],
    "const": Any,
    "required": list[str],
    "pattern": str,
    "format": Annotated[str, Meta(pattern=f"^({'|'.join(FORMATS)})$")],
    "$ref": str,
}
_ANNOTATIONS = {
    *("title", "description", "default", "examples"),
    *("$comment", "readOnly", "writeOnly", "deprecated"),
}
# The drafts in which the keywords mean the same.
_ROOT = {"$schema": Annotated[str, Meta(pattern="draft-0[67]|2019-09|2020-12")], "$id": str}

_ESCAPES = str.maketrans({"~": "~0", "/": "~1"})
_CONTROL = r"[\x00-\x07\x0b\x0e-\x1f\x7f]"  # the characters that JSON spells \uXXXX
_PATTERN_PARTS = re.compile(
    rf"(?P<control>\\(?:v|(?:x|u00)(?:0[0-7bef]|1.|7f))|{_CONTROL})"
    r"|(?P<property>\\p(?:\{[^}]*\}|.))|\\."
    r"|\[(?P<negated>\^?)(?P<members>\]?(?:\\.|[^]\\])*)\]",
    re.IGNORECASE | re.DOTALL,
)


def prepare_schema(schema: object) -> _Schema:
    """Return a schema for llguidance, all of whose texts satisfy the given one.

    Raises ConfigError that names a keyword that is not supported, and where it stands.
    """
    if not isinstance(schema, bool | dict):
        raise ConfigError("a JSON schema must be an object, or true or false")
    schemas: dict[str, _Schema] = {}
    prepared = _prepare(schema, "#", schemas)
    references = {p: s for p, s in schemas.items() if isinstance(s, dict) and "$ref" in s}
    for pointer, reference in references.items():
        if unquote(target := reference["$ref"]) not in schemas:
            raise ConfigError(f"{pointer}: $ref to {target[:80]!r}, where the schema has no schema")
    finite: set[str] = set()
    while more := {p for p in schemas.keys() - finite if _is_finite(schemas[p], finite)}:
        finite |= more
    for reference in references.values():
        if unquote(reference["$ref"]) not in finite:  # llguidance would never end it
            reference.clear()
            reference["allOf"] = [False]
    return prepared


def _prepare(schema: _Schema, pointer: str, schemas: dict[str, _Schema]) -> _Schema:
    """Return a schema, checked and corrected. Add it and those in it to `schemas`, by pointer."""
    if isinstance(schema, bool):
        schemas[pointer] = schema
        return schema
    prepared: dict[str, Any] = {}
    schemas[pointer] = prepared
    for keyword, value in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        _check(keyword, value, pointer)
        kind, step = KEYWORDS.get(keyword), f"{pointer}/{keyword}"
        if kind is _Schema:
            prepared[keyword] = _prepare(value, step, schemas)
        elif kind is _Schemas:
            prepared[keyword] = [_prepare(s, f"{step}/{n}", schemas) for n, s in enumerate(value)]
        elif kind is _NamedSchemas:
            prepared[keyword] = {
                name: _prepare(s, f"{step}/{name.translate(_ESCAPES)}", schemas)
                for name, s in value.items()
            }
        elif keyword in KEYWORDS:
            prepared[keyword] = value
    # Names beyond those in required may come twice, and then count as one.
    if prepared.get("minProperties", 0) > len(set(prepared.get("required", ()))) + 1:
        raise ConfigError(f"{pointer}: minProperties is more than 1 above the names in required")
    _correct(prepared)
    return prepared


def without_texts(schema: _Schema, texts: Sequence[str]) -> _Schema:
    """Return a schema without the values and names that hold one of these texts, as JSON has them.

    What its patterns ask for is kept.
    """

    def is_kept(value: Any) -> bool:
        return not any(
            text in own.text for own in literals_of(value_literals(value)) for text in texts
        )

    if isinstance(schema, bool) or not is_kept(schema.get("const")):
        return schema if isinstance(schema, bool) else False
    kept = dict(schema)
    for keyword, value in schema.items():
        kind = KEYWORDS.get(keyword)
        if keyword == "enum":
            kept[keyword] = [*filter(is_kept, value)]
        elif kind is _Schema:
            kept[keyword] = without_texts(value, texts)
        elif kind is _Schemas:
            kept[keyword] = [without_texts(inner, texts) for inner in value]
        elif kind is _NamedSchemas:
            are_names = keyword == "properties"
            kept[keyword] = {
                name: (is_kept(name) or not are_names) and without_texts(inner, texts)
                for name, inner in value.items()
            }
    return kept if kept.get("enum", [0]) else False


def _check(keyword: str, value: Any, pointer: str) -> None:
    """Raise ConfigError for a keyword that is unknown, or that cannot have this value."""
    types = KEYWORDS | _ROOT if pointer == "#" else KEYWORDS
    if keyword not in types:
        name = str(keyword)[:60]
        hint = suggest(name, KEYWORDS)
        raise ConfigError(f"{pointer}: the keyword {name!r} is not supported; {hint}")
    try:
        msgspec.convert(value, types[keyword])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{pointer}: {keyword} is {value!r:.60}; {error}") from None
    if types[keyword] not in (_Schema, _Schemas, _NamedSchemas) and not _is_exact(value):
        problem = "a control character or a number of more than 15 digits"
        raise ConfigError(f"{pointer}: {keyword} has {problem}, which is not supported")


def _is_exact(value: Any) -> bool:
    """Return whether llguidance writes exactly this value."""
    if isinstance(value, dict | list):
        return all(map(_is_exact, value.values() if isinstance(value, dict) else value))
    if isinstance(value, str):
        return not re.search(_CONTROL, value)
    if isinstance(value, float) and not value == round(value, 22) == float(f"{value:.15g}"):
        return False
    return not isinstance(value, int | float) or abs(value) <= 2**53


def _correct(schema: dict[str, Any]) -> None:
    """Replace the keywords that llguidance gets wrong by others."""
    for exclusive, bound, tighter, end in (
        ("exclusiveMinimum", "minimum", max, inf),
        ("exclusiveMaximum", "maximum", min, -inf),
    ):
        if exclusive in schema:  # for > 1 and < 1.5 llguidance wrongly accepts 1
            value = schema.pop(exclusive)
            value += copysign(abs(value) * 2**-50 or 1e-60, end)
            schema[bound] = tighter(value, schema.get(bound, value))
    patterns = FORMATS.get(schema.get("format", ""), ())
    if patterns:
        schema["allOf"] = [*schema.get("allOf", ()), *({"pattern": p} for p in patterns)]
    if "pattern" in schema:
        schema["pattern"] = _correct_pattern(schema["pattern"])
    if "patternProperties" in schema:
        named = schema["patternProperties"].items()
        schema["patternProperties"] = {_correct_pattern(name): inner for name, inner in named}


def _correct_pattern(pattern: str) -> str:
    """Return a pattern that llguidance keeps in JSON strings as it is meant.

    It drops characters that it cannot write, takes a class of all control characters for one with
    quotes and backslashes too, and reads "[", "&&" and "~~" in a class as operators.
    """

    def correct(part: re.Match[str]) -> str:
        if part["control"]:
            raise ConfigError(f"pattern: the control character {part[0]!r} is not supported")
        if part["property"]:
            return rf"[[^\x01]&&{part[0]}]"
        if part["members"] is None:
            return part[0]
        members = re.sub(
            r"\\.|[][&~]", lambda m: m[0] if m[0][1:] else f"\\{m[0]}", part["members"]
        )
        return rf"[^\x01{members}]" if part["negated"] else rf"[[^\x01]&&{members}]"

    return _PATTERN_PARTS.sub(correct, pattern)


def _is_finite(schema: _Schema, finite: set[str]) -> bool:
    """Return whether a finite text may satisfy a schema, given the pointers of such schemas."""
    if isinstance(schema, bool):
        return schema
    get, types, least = schema.get, schema.get("type", "null"), schema.get("minItems", 0)
    other = "patternProperties" in schema or get("additionalProperties", True)
    needed = {
        "array": [*get("prefixItems", ()), *repeat(get("items", True), least)][:least],
        "object": [get("properties", {}).get(name, other) for name in get("required", ())],
    }
    conjunctions = [needed.get(t, []) for t in ([types] if isinstance(types, str) else types)]
    disjunctions = [[part] for part in get("allOf", ())]
    disjunctions += [schema[keyword] for keyword in ("anyOf", "oneOf") if keyword in schema]
    return (
        ("$ref" not in schema or unquote(schema["$ref"]) in finite)
        and any(all(_is_finite(part, finite) for part in parts) for parts in conjunctions)
        and all(any(_is_finite(part, finite) for part in parts) for parts in disjunctions)
    )
