"""Beginnings of texts that are JSON, could yet be, or are none that can be read."""

import json
import re

from ..errors import CorpusError
from .columns import TEXT, Columns

# An array of objects, of which the end of a beginning may cut off anything; an empty array; and an
# array whose next characters tell whether it is one of objects.
ARRAY_OF_OBJECTS = re.compile(r'\[\s*\{\s*(\}|"([^"\\]|\\.)*("\s*(:|\Z)|\\?\Z)|\Z)', re.DOTALL)
EMPTY_ARRAY = re.compile(r"\[\s*\]\s*\Z")
_OPEN_ARRAY = re.compile(r'\[\s*(\{\s*("([^"\\]|\\.)*("\s*|\\)?)?)?', re.DOTALL)
_REMEDY = "give an array of objects, or an object on each line"
_ONE_OBJECT, _NO_RECORDS = f"one JSON object: {_REMEDY}", f"no JSON: {_REMEDY}"


def is_open(head: str, *, records: bool) -> bool:
    """Return True for the beginning of a text whose format depends on what follows.

    That is a first line without its end, blank ones before it where `records` are expected, and an
    array of objects that has not begun with one, or that is a line: another could follow it.
    """
    first = head.lstrip() if records else head.lstrip(" \t\r")
    line, ended, rest = first.partition("\n")
    if not ended:
        return True
    if _OPEN_ARRAY.fullmatch(first):
        return True
    array = records or ARRAY_OF_OBJECTS.match(line)
    return bool(array) and not rest.strip() and _is_json(line, list)


def find_json(first: str, *, expected: bool) -> str | None:
    """Return the name of a JSON format whose text begins so, or None.

    Where JSON is `expected`, an array need not be one of objects.
    """
    line, ended, rest = first.partition("\n")
    if (
        first.startswith("[")
        if expected
        else (ARRAY_OF_OBJECTS.match(first) or EMPTY_ARRAY.match(first))
    ):
        alone = not rest.strip() or not _is_json(line, list)
        return "json" if alone else ("jsonl" if expected else None)
    if not ended:
        return "jsonl" if re.match(r'\{\s*("[^"]*"\s*:|\}\s*$)', line) else None
    return "jsonl" if _is_json(line, dict) else None


def _is_json(line: str, kind: type) -> bool:
    """Return True for a JSON value of a kind that ends with its line."""
    if not line.startswith(("{", "[")):
        return False
    try:
        return isinstance(json.loads(line), kind)
    except (ValueError, RecursionError):
        return False


def refuse_one_object(path: str, first: str, columns: Columns) -> None:
    """Raise CorpusError for a text that is one JSON object with a list of records in it."""
    line, _, rest = first.partition("\n")
    if rest.strip() and _is_json(line, dict):
        return
    try:
        fields = json.loads(first)
    except (ValueError, RecursionError):  # it is longer than its beginning
        names = re.findall(r'"([^"\\]{1,40})"\s*:\s*\[\s*[{"]', first)
    else:
        if TEXT in fields or {*columns.names} & fields.keys():
            return
        names = [name for name, value in fields.items() if isinstance(value, list)]
    if names:
        raise CorpusError(
            f"{path} is {_ONE_OBJECT} (jq -c '.[\"{names[0]}\"][]' {path} makes lines of its field "
            f"{names[0]})"
        )


def refuse_no_records(path: str, first: str) -> None:
    """Raise CorpusError for a text in a file of JSON that is none, or one object."""
    raise CorpusError(f"{path} is {_ONE_OBJECT if first.startswith('{') else _NO_RECORDS}")
