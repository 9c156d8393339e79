"""Texts that a grammar names literally: those that all of its texts need, and alternatives."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias, Union

from .spelling import Spelling


class Literal(NamedTuple):
    """A text that a grammar names."""

    text: str
    is_whole: bool = False  # it is all that is written

    def is_written_by(self, spelling: Spelling, *, continuing: bool) -> bool:
        """Return True if a model's tokens can spell the text."""
        if self.is_whole:
            return spelling.writes(self.text, continuing=continuing)
        return spelling.holds(self.text)


class Alternatives(NamedTuple):
    """Sequences of which a text has one."""

    options: tuple["Parts", ...]


Parts: TypeAlias = tuple[Union[Literal, "Alternatives"], ...]  # a text has all of them
_ANYTHING = Alternatives(((),))


def first_missing(parts: Parts, is_written: Callable[[Literal], bool]) -> Literal | None:
    """Return a literal that cannot be written and without which there is no text, if any."""
    for part in parts:
        if isinstance(part, Literal):
            missing = [None if is_written(part) else part]
        else:
            missing = [first_missing(option, is_written) for option in part.options]
        if missing and all(missing):
            return missing[0]
    return None


def literals_of(parts: Parts) -> Iterator[Literal]:
    """Yield all literals, those of alternatives too."""
    for part in parts:
        if isinstance(part, Literal):
            yield part
        else:
            for option in part.options:
                yield from literals_of(option)


_CODE = r"""(?P<code> \\x\{[0-9a-fA-F]+\} | \\[uU]\{[0-9a-fA-F]+\}
    | \\x[0-9a-fA-F]{2} | \\u[0-9a-fA-F]{4} | \\U[0-9a-fA-F]{8} )"""
_PARTS = re.compile(
    rf"""
      (?P<gap> \\[pP](?:\{{[^}}]*\}}|.) | \\[dDwWsSBAzZ] | \\b(?!\{{) | [.^$] | \(\?[smU-]+\) )
    | (?P<open> \((?:\?(?:P?<\w+>|[smU-]*:))?(?!\?) )
    | (?P<close> \) )
    | (?P<bar> \| )
    | (?P<class> \[\^?\]?(?:\\[pPux]\{{[^}}]*\}}|\\.|\[:\^?\w+:\]|(?!&&|--|~~)[^][\\])*\] )
    | (?P<repeat> (?:[*+?] | \{{(?P<least>\d*),?(?P<most>\d*)\}})\?? )
    | {_CODE}
    | (?P<character> \\[^\w<>] | \\[ntrfva] | [^][\\(){{|*+?] | \] )
    | (?P<unknown> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_MEMBERS = re.compile(
    rf"""
      (?P<gap> \\[pP](?:\{{[^}}]*\}}|.) | \\[dDwWsS] | \[:\^?\w+:\] )
    | {_CODE}
    | (?P<character> \\[^\w] | \\[ntrfva] | [^\\] )
    | (?P<unknown> \\. )
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}


class _PatternGroup:
    """Group of a regular expression, as far as it has been read."""

    def __init__(self) -> None:
        self._options: list[Parts] = []
        self._parts: list[Literal | Alternatives] = []
        self._run = ""

    def add(self, part: Alternatives) -> None:
        self._end_run()
        self._parts.append(part)

    def add_character(self, character: str) -> None:
        self._run += character

    def repeat(self, repeat: re.Match[str]) -> None:
        """Make what came last optional, or drop it."""
        if len(self._run) > 1:
            self._run, last = self._run[:-1], self._run[-1]
            self._end_run()
            self._run = last
        self._end_run()
        if repeat[0] in ("{0}", "{0,0}"):
            self._parts[-1:] = [_ANYTHING]
        elif repeat[0][0] in "*?" or (repeat[0][0] == "{" and not int(repeat["least"] or 0)):
            self._parts[-1:] = [Alternatives(((*self._parts[-1:],), ()))]

    def end_option(self) -> None:
        self._end_run()
        self._options.append(tuple(self._parts))
        self._parts = []

    def parts(self) -> Parts:
        self.end_option()
        if len(self._options) > 1:
            return (Alternatives(tuple(self._options)),)
        return self._options[0]

    def _end_run(self) -> None:
        if self._run:
            self._parts.append(Literal(self._run))
        self._run = ""


def pattern_parts(pattern: str) -> Parts:
    """Return the runs of characters that a regular expression names.

    A character that may be left out or repeated is a run of its own. For an expression that is not
    understood as a whole, there are none: flags such as (?i), classes in classes.

    >>> [literal.text for literal in literals_of(pattern_parts(r"ab?c(de|\\d\\.)+[^x][y-z]"))]
    ['a', 'b', 'c', 'de', '.']
    """
    groups = [_PatternGroup()]
    for part in _PARTS.finditer(pattern):
        match part.lastgroup:
            case "character" | "code" if character := _character(part):
                groups[-1].add_character(character)
            case "gap":
                groups[-1].add(_ANYTHING)
            case "class":
                groups[-1].add(_class(part[0]))
            case "bar":
                groups[-1].end_option()
            case "open":
                groups.append(_PatternGroup())
            case "close" if len(groups) > 1:
                group = groups.pop()
                groups[-1].add(Alternatives((group.parts(),)))
            case "repeat":
                groups[-1].repeat(part)
            case _:
                return ()
    return groups[0].parts() if len(groups) == 1 else ()


def _character(part: re.Match[str]) -> str:
    """Return the character that a part of a regular expression stands for."""
    text = part[0]
    if part["code"] is not None:
        code = int(text[2:].strip("{}"), 16)
        return chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else ""
    return _CONTROLS.get(text[1], text[1]) if text[1:] else text


def _class(text: str) -> Alternatives:
    """Return the characters that a class names one by one, and what else it allows."""
    parts = list(_MEMBERS.finditer(text[1:-1]))
    ranges = {n + step for n, part in enumerate(parts) if part[0] == "-" for step in (-1, 0, 1)}
    named = [n for n in range(len(parts)) if n not in ranges and parts[n].lastgroup != "gap"]
    if text.startswith("[^") or any(part.lastgroup == "unknown" for part in parts):
        return _ANYTHING
    options: list[Parts] = [(Literal(_character(parts[n])),) for n in named]
    return Alternatives(tuple(options if len(named) == len(parts) else [*options, ()]))


def schema_parts(schema: Any) -> Parts:
    """Return the strings and names of properties that a JSON schema names, as JSON has them."""
    if not isinstance(schema, dict):
        return ()
    parts = [*value_literals(schema.get("const"))]
    for keyword, read in (
        ("enum", value_literals),
        ("anyOf", schema_parts),
        ("oneOf", schema_parts),
    ):
        if keyword in schema:
            parts += (Alternatives(tuple(map(read, schema[keyword]))),)
    for inner in schema.get("allOf", ()):
        parts += schema_parts(inner)
    for kind, of_kind in (("string", _string), ("array", _array), ("object", _object)):
        is_needed = schema.get("type") in (kind, [kind])
        parts += of_kind(schema) if is_needed else _optional(of_kind(schema))
    for keyword in ("$defs", "definitions"):
        for inner in schema.get(keyword, {}).values():
            parts += _optional(schema_parts(inner))
    return tuple(parts)


def _string(schema: dict[str, Any]) -> Parts:
    return _escaped(pattern_parts(schema.get("pattern", "")))


def _array(schema: dict[str, Any]) -> Parts:
    items, least = [*map(schema_parts, schema.get("prefixItems", ()))], schema.get("minItems", 0)
    items.append(schema_parts(schema.get("items")))
    return tuple(
        part
        for number, item in enumerate(items)
        for part in (item if number < least else _optional(item))
    )


def _object(schema: dict[str, Any]) -> Parts:
    required, properties = schema.get("required", ()), schema.get("properties", {})
    parts: list[Literal | Alternatives] = []
    for name in dict.fromkeys([*required, *properties]):
        named = (*value_literals(name), *schema_parts(properties.get(name)))
        parts += named if name in required else _optional(named)
    for pattern, inner in schema.get("patternProperties", {}).items():
        parts += _optional((*_escaped(pattern_parts(pattern)), *schema_parts(inner)))
    return (*parts, *_optional(schema_parts(schema.get("additionalProperties"))))


def _optional(parts: Parts) -> Parts:
    return (Alternatives((parts, ())),) if parts else ()


def value_literals(value: Any) -> Parts:
    """Return all strings of a JSON value, as JSON has them."""
    return tuple(Literal(_in_json(text)) for text in _strings(value) if text)


def _strings(value: Any) -> Iterable[str]:
    """Return all strings of a JSON value."""
    if isinstance(value, dict):
        return [*value, *(s for item in value.values() for s in _strings(item))]
    if isinstance(value, list | tuple):
        return [s for item in value for s in _strings(item)]
    return [value] if isinstance(value, str) else []


def _escaped(parts: Parts) -> Parts:
    """Return the parts of a pattern as JSON writes them."""
    return tuple(
        Literal(_in_json(part.text))
        if isinstance(part, Literal)
        else Alternatives(tuple(map(_escaped, part.options)))
        for part in parts
    )


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
