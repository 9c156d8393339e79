"""Formats of records, as a registry, and the rules by which a text has one of them."""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import suppress

from ..errors import CorpusError
from .columns import TEXT, Columns, RecordFormat
from .delimited import Delimited, delimiter_name, find_delimiter, split_quoted, split_tabs
from .headers import begins_with_names
from .json_records import JsonObjects, parse_array, parse_lines
from .lines import CorpusCounts
from .names import display_name, suffix_of

FORMATS: dict[str, RecordFormat] = {
    "tsv": Delimited(split_tabs, headed=False),
    "csv": Delimited(split_quoted, headed=True),
    "jsonl": JsonObjects(parse_lines, unit="line"),
    "json": JsonObjects(parse_array, unit="item"),
}
_NAMED = {
    ".tsv": "tsv", ".tab": "tsv", ".csv": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
}  # fmt: skip
_JSON = ("json", "jsonl")
# An array of objects, of which the end of a beginning may cut off anything; an empty array; and an
# array whose next characters tell whether it is one of objects.
_OBJECTS = re.compile(r'\[\s*\{\s*(\}|"([^"\\]|\\.)*("\s*(:|\Z)|\\?\Z)|\Z)', re.DOTALL)
_EMPTY = re.compile(r"\[\s*\]\s*\Z")
_OPEN_ARRAY = re.compile(r'\[\s*(\{\s*("([^"\\]|\\.)*("\s*|\\)?)?)?', re.DOTALL)
_REMEDY = "give an array of objects, or an object on each line"
_ONE_OBJECT, _NO_RECORDS = f"one JSON object: {_REMEDY}", f"no JSON: {_REMEDY}"


def format_of_name(path: str) -> str | None:
    """Return the name of the format that a file's name says it has, or None."""
    return _NAMED.get(suffix_of(path))


def find_format(
    path: str, head: str, columns: Columns, counts: CorpusCounts, *, records: bool = False
) -> str | None:
    """Return the name of a text's format by its beginning, or None for lines of plain text.

    The file's name counts where the contents could be either: any text is one of commas. `records`
    says that records are expected under any name, as they are where columns are named.
    """
    named, first = format_of_name(path), head.lstrip()
    records = records or bool(columns.names) or named is not None
    json_name = _find_json(first, expected=named in _JSON)
    if first.startswith("{") and suffix_of(path) == ".json":
        _refuse_one_object(path, first, columns)
    if columns.answered and not (records or head.partition("\n")[0].strip()):
        return None  # a line without letters is answered before anyone knows the next
    evident = _OBJECTS.match(first) or f'"{TEXT}"' in first.partition("\n")[0]
    if json_name and (records or evident):
        return json_name
    if not records:
        return None
    return _find_table(head, named, columns) or _find_unnamed(path, head, named, columns, counts)


def _find_table(head: str, named: str | None, columns: Columns) -> str | None:
    """Return the name of a table's format where its name or its first line says so, or None."""
    line = _first_line(head)
    if named == "csv" or line.startswith(("{", "[")):
        return "csv" if named == "csv" else None
    if "\t" in line:
        return "tsv"
    by_name = not columns.by_number and any({*columns.names} & {*cells} for cells in _cut(line))
    return "csv" if by_name else None


def _find_unnamed(
    path: str, head: str, named: str | None, columns: Columns, counts: CorpusCounts
) -> str:
    """Return the name of a format of records for a text that shows none."""
    if named == "json" and head.strip():
        kind = _ONE_OBJECT if head.lstrip().startswith("{") else _NO_RECORDS
        raise CorpusError(f"{path} is {kind}")
    if named in _JSON:
        return "jsonl"
    if columns.least > 1 and (delimiter := find_delimiter(head, columns.least)):  # tabs give fewer
        counts.notice(
            f"{display_name(path)} has no tabs, and is read as CSV: {delimiter_name(delimiter)} "
            "separate its columns"
        )
        return "csv"
    return "tsv"


def _first_line(head: str) -> str:
    return next(filter(str.strip, head.split("\n")), "").rstrip("\r")


def _cut(line: str) -> Iterator[list[str]]:
    """Yield the cells of a line of CSV by each delimiter that it may have."""
    for delimiter in ",;":
        with suppress(csv.Error):
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
            if len(cells) > 1:
                yield cells


def notice_plain_text(path: str, head: str, columns: Columns, counts: CorpusCounts) -> None:
    """Give notice of plain text that begins like JSON objects or, for filters, like a table."""
    name, first = display_name(path), head.lstrip()
    suspicion = None
    if not _EMPTY.match(first) and _find_json(first, expected=False) is not None:
        suspicion = f"{name} begins with JSON"
    elif columns.answered:
        suspicion = _suspect_names(name, head)
    if suspicion:
        counts.notice(f"{suspicion}, and is read as plain text: {columns.choice}")


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
    array = records or _OBJECTS.match(line)
    return bool(array) and not rest.strip() and _is_json(line, list)


def _suspect_names(name: str, head: str) -> str | None:
    line = _first_line(head)
    rows = (line.split("\t"), *_cut(line))
    return next(filter(None, (begins_with_names(name, cells) for cells in rows)), None)


def _find_json(first: str, *, expected: bool) -> str | None:
    """Return the name of a JSON format whose text begins so, or None.

    Where JSON is `expected`, an array need not be one of objects.
    """
    line, ended, rest = first.partition("\n")
    if first.startswith("[") if expected else (_OBJECTS.match(first) or _EMPTY.match(first)):
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


def _refuse_one_object(path: str, first: str, columns: Columns) -> None:
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
