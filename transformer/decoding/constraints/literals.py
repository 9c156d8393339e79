"""Texts that a grammar names literally: a model must be able to write them."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .json_schema import subschemas
from .spelling import Spelling


class Literal(NamedTuple):
    """A text that a grammar names."""

    text: str
    is_whole: bool = False  # it is all that is written
    is_needed: bool = True  # else it is one of a set of characters, of which others may do

    def is_written_by(self, spelling: Spelling, *, continuing: bool) -> bool:
        """Return True if a model's tokens can spell the text."""
        if self.is_whole:
            return spelling.writes(self.text, continuing=continuing)
        return spelling.holds(self.text)


_PARTS = re.compile(
    r"""
      (?P<other> \\[pP](?:\{[^}]*\}|.) | \\[dDwWsSbBAzZ] | [.^$|)]
        | \((?:\?(?:P?<[^>]*>|[\w-]*[:)]))? )
    | (?P<class> \[\^?\]?(?:\\[pPux]\{[^}]*\}|\\.|\[:\^?\w+:\]|[^]\\])*\] )
    | (?P<repeat> [*+?]\?? | \{\d*,?\d*\}\?? )
    | (?P<code> \\x\{[0-9a-fA-F]+\} | \\[uU]\{[0-9a-fA-F]+\}
        | \\x[0-9a-fA-F]{2} | \\u[0-9a-fA-F]{4} | \\U[0-9a-fA-F]{8} )
    | (?P<character> \\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_FLAGS = re.compile(r"\(\?[a-z]*([ix])")  # without regard to case; with blanks and comments


def pattern_literals(pattern: str) -> Iterator[Literal]:
    """Yield the runs of characters that a regular expression names, and those of its classes.

    A character that may be left out or repeated is a run of its own. Where case does not count, or
    blanks do not, nothing is yielded.

    >>> [literal.text for literal in pattern_literals(r"ab?c(de|\\d\\.)+[^x][y-z]")]
    ['a', 'b', 'c', 'de', '.']
    """
    if _FLAGS.search(pattern):
        return
    run = ""
    for part in _PARTS.finditer(pattern):
        if part["character"] is not None or part["code"] is not None:
            run += _character(part)
            continue
        if part["repeat"] is not None and run:
            yield from (Literal(text) for text in (run[:-1], run[-1]) if text)
        elif run:
            yield Literal(run)
        run = ""
        if part["class"] is not None:
            yield from (Literal(c, is_needed=False) for c in _members(part["class"]))
    if run:
        yield Literal(run)


def _character(part: re.Match[str]) -> str:
    """Return the character that a part of a regular expression stands for."""
    text = part[0]
    if part["code"] is not None:
        code = int(text[2:].strip("{}"), 16)
        return chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else ""
    return _CONTROLS.get(text[1], text[1]) if text[1:] else text


def _members(text: str) -> Iterator[str]:
    """Yield the characters that a class names one by one, and none of a negated one."""
    body = re.sub(r"\[:\^?\w+:\]|&&.*", "", text[1:-1], flags=re.DOTALL)
    if body.startswith("^"):
        return
    parts = [part for part in _PARTS.finditer(body) if part["other"] is None or part[0][:1] != "\\"]
    ranges = {n + step for n, part in enumerate(parts) if part[0] == "-" for step in (-1, 0, 1)}
    for number, part in enumerate(parts):
        if number not in ranges and part[0] != "[":
            yield _character(part) if part["code"] or part["character"] else part[0]


def schema_literals(schema: Any) -> Iterator[Literal]:
    """Yield the strings and names of properties that a JSON schema names, as JSON has them."""
    for part in subschemas(schema):
        strings = [*_strings(part.get("enum", ())), *part.get("required", ())]
        strings += [*part.get("properties", ()), *_strings(part.get("const"))]
        yield from (Literal(_escaped(text)) for text in strings if text)
        for pattern in [part.get("pattern", ""), *part.get("patternProperties", ())]:
            yield from pattern_literals(pattern)


def _strings(value: Any) -> Iterable[str]:
    """Return all strings of a JSON value."""
    if isinstance(value, dict):
        return [*value, *(s for item in value.values() for s in _strings(item))]
    if isinstance(value, list | tuple):
        return [s for item in value for s in _strings(item)]
    return [value] if isinstance(value, str) else []


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
