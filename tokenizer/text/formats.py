"""Formats of records, as a registry: each yields the columns that are read, row by row."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from ..errors import CorpusError
from .json_records import parse_array, parse_lines
from .lines import MAX_RECORD_BYTES, CorpusLines, replace_surrogates
from .sources import suffix_of

TEXT = "text"  # the field, or the column of a header, that is read where none is named
PAIR = "translation"  # a field that holds both sides of a pair, as in many published data sets
Row = tuple[str, ...]


def _is_number(name: str) -> bool:
    """Return True for the number of a column, from 1."""
    return name.isdecimal() and int(name) > 0


class Columns:
    """The columns to read: by name or number, or if none are named the first `default`.

    A default of None reads them all.
    """

    def __init__(self, names: Sequence[str] = (), default: int | None = 1) -> None:
        self.names, self.default = tuple(names), default

    @property
    def by_number(self) -> bool:
        """True if all columns are numbers from 1."""
        return all(map(_is_number, self.names))


class RecordFormat(Protocol):
    """A format of records."""

    def rows(self, lines: CorpusLines, columns: Columns) -> Iterator[Row]:
        """Yield the selected columns of each record; empty texts for a blank line.

        Raises CorpusError, which lists the columns that there are, where one is missing.
        """
        ...


@dataclass(frozen=True)
class Delimited:
    """Cells with a separator between them.

    Columns are numbers from 1; named ones stand in the first row, which then is no data.
    """

    split: Callable[[CorpusLines], Iterator[list[str]]]
    headed: bool  # True if a first row that names a column `text` is a header

    def rows(self, lines: CorpusLines, columns: Columns) -> Iterator[Row]:
        """See RecordFormat."""
        rows = self.split(lines)
        if (first := next(rows, None)) is None:
            return
        indexes, is_header = self._select(first, columns, lines)
        needed = max(indexes) + 1
        for cells in rows if is_header else chain([first], rows):
            if len(cells) >= needed:
                yield tuple(cells[index] for index in indexes)
            elif not any(cell.strip() for cell in cells):
                yield ("",) * len(indexes)
            else:
                raise CorpusError(
                    f"{lines.path}, line {lines.number} has {len(cells)} columns; "
                    f"column {needed} was requested"
                )

    def _select(
        self, first: list[str], columns: Columns, lines: CorpusLines
    ) -> tuple[list[int], bool]:
        """Return the indexes of the columns, and True if the first row is a header."""
        header = [cell.strip() for cell in first]
        names = columns.names
        if not names and self.headed and columns.default != 2 and TEXT in header:
            names = (TEXT,)
        if not names:
            count = len(first) if columns.default is None else columns.default
            if len(first) > (columns.default or 1):
                read = {None: "all are", 1: "the first is"}.get(
                    columns.default, f"the first {count} are"
                )
                lines.counts.notice(f"{lines.path} has {len(first)} columns; {read} read")
            return list(range(count)), False
        if all(map(_is_number, names)):
            return [int(name) - 1 for name in names], False
        if missing := [name for name in names if name not in header]:
            raise CorpusError(
                f"{lines.path} has no column {missing[0]!r}; its first line has {listed(header)}: "
                "name those, or give numbers from 1"
            )
        return [header.index(name) for name in names], True


@dataclass(frozen=True)
class JsonObjects:
    """JSON objects, whose fields are the columns; dots lead into nested objects."""

    parse: Callable[[CorpusLines], Iterator[tuple[int, Any]]]  # numbered; None: a blank line
    unit: str  # that is numbered

    def rows(self, lines: CorpusLines, columns: Columns) -> Iterator[Row]:
        """See RecordFormat."""
        names = columns.names
        for number, record in self.parse(lines):
            if record is None:
                yield ("",) * max(1, len(names) or columns.default or 1)
                continue
            names = names or self._default(record, columns, lines)
            location = f"{lines.path}, {self.unit} {number}"
            yield tuple([self._text(record, name, location, lines) for name in names])

    def _default(self, record: Any, columns: Columns, lines: CorpusLines) -> Row:
        """Return the fields of the first record that are read where none are named."""
        if columns.default != 2:
            return (TEXT,)
        fields = record if isinstance(record, dict) else {}
        pair = fields.get(PAIR)
        sides = pair if isinstance(pair, dict) else fields
        names = [name for name, value in sides.items() if isinstance(value, str)]
        if len(names) != 2:
            raise CorpusError(
                f"{lines.path}: its records have {listed(field_names(record))}: name the two of a "
                "pair with --columns, source first"
            )
        lines.counts.notice(f"{lines.path}: pairs are {names[0]} and {names[1]} (--columns)")
        return tuple(names)

    def _text(self, record: Any, name: str, location: str, lines: CorpusLines) -> str:
        try:
            value = field_value(record, name)
        except KeyError:
            raise CorpusError(
                f"{location} has no field {name!r}; it has "
                f"{listed(field_names(record))}: name others with --column or --columns"
            ) from None
        if value is None:
            return ""
        if not isinstance(value, str):
            raise CorpusError(f"{location}: field {name!r} is not text")
        return replace_surrogates(value, lines.counts)


def field_value(record: Any, name: str) -> Any:
    """Return a field: by its name, by a path with dots, or out of `translation`.

    Raises KeyError.

    >>> field_value({"translation": {"en": "a"}}, "en")
    'a'
    """
    if not isinstance(record, dict):
        raise KeyError(name)
    if name in record:
        return record[name]
    first, dot, rest = name.partition(".")
    if dot and first in record:
        return field_value(record[first], rest)
    if isinstance(pair := record.get(PAIR), dict) and name in pair:
        return pair[name]
    raise KeyError(name)


def field_names(record: Any, prefix: str = "") -> list[str]:
    """Return the names of all fields, nested ones with dots."""
    if not isinstance(record, dict):
        return []
    names: list[str] = []
    for key, value in record.items():
        names += field_names(value, f"{prefix}{key}.") or [f"{prefix}{key}"]
    return names


def listed(names: Sequence[str]) -> str:
    """Return names as text, the first twenty of them."""
    shown = ", ".join(name[:40] for name in names[:20])
    return f"{shown or 'none'}{' …' if len(names) > 20 else ''}"


def _split_tabs(lines: CorpusLines) -> Iterator[list[str]]:
    """Yield the cells of lines; quotation marks in them are ordinary text."""
    return (line.split("\t") for line in lines)


def _split_quoted(lines: CorpusLines) -> Iterator[list[str]]:
    """Yield the cells of CSV (RFC 4180); the first line tells commas, semicolons and tabs."""
    iterator = iter(lines)
    first = next(iterator, None)
    if first is None:
        return
    unquoted = re.sub(r'"[^"]*"', "", first)
    delimiter = max(",;\t", key=unquoted.count)
    csv.field_size_limit(MAX_RECORD_BYTES)
    with_ends = (f"{line}\n" for line in chain([first], iterator))
    try:
        yield from csv.reader(with_ends, delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise CorpusError(f"{lines.path}, line {lines.number} is not CSV: {error}") from None


FORMATS: dict[str, RecordFormat] = {
    "tsv": Delimited(_split_tabs, headed=False),
    "csv": Delimited(_split_quoted, headed=True),
    "jsonl": JsonObjects(parse_lines, unit="line"),
    "json": JsonObjects(parse_array, unit="item"),
}
_TABLES = {".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def find_format(path: str, head: str, columns: Columns, *, records: bool) -> RecordFormat | None:
    """Return the format of a text by its beginning, or None for lines of plain text.

    Its name counts where the contents could be either: any text is one of commas. `records` says
    that records are expected under any name, as they are where columns are named.
    """
    named, first = _TABLES.get(suffix_of(path)), head.lstrip()
    records = records or bool(columns.names) or named is not None or suffix_of(path) == ".json"
    if json_name := _find_json(first):
        if records or f'"{TEXT}"' in first.partition("\n")[0]:
            return FORMATS[json_name]
    elif suffix_of(path) == ".json" and first.startswith("{"):
        raise CorpusError(
            f"{path} is one JSON object: give an array of objects, or an object on each line"
        )
    if not records:
        return None
    line = first.partition("\n")[0].rstrip("\r")
    if named is None or (named != "csv" and not line.startswith(("{", "["))):
        quoted = next(csv.reader([line]), [])
        if "\t" in line:
            named = "tsv"
        elif len(quoted) > 1 and not columns.by_number and {*columns.names} & {*quoted}:
            named = "csv"
    return FORMATS[named or "tsv"]


def begins_with_json(head: str) -> bool:
    """Return True for a text that begins with JSON objects."""
    return _find_json(head.lstrip()) is not None


def _find_json(first: str) -> str | None:
    """Return the name of a JSON format whose text begins so, or None."""
    if re.match(r"\[\s*(\{|\]\s*$)", first):
        return "json"
    line, ended, _ = first.partition("\n")
    if not ended:
        return "jsonl" if re.match(r'\{\s*("[^"]*"\s*:|\}\s*$)', line) else None
    try:
        return "jsonl" if isinstance(json.loads(line), dict) else None
    except (ValueError, RecursionError):
        return None
