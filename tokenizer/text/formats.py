"""Formats of records, as a registry, and the rules by which a text has one of them."""

import csv
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from .columns import TEXT, Columns, RecordFormat
from .delimited import Delimited, delimiter_name, find_delimiter, split_quoted, split_tabs
from .headers import begins_with_names
from .json_beginnings import (
    ARRAY_OF_OBJECTS,
    EMPTY_ARRAY,
    find_json,
    refuse_no_records,
    refuse_one_object,
)
from .json_records import JsonObjects, parse_array, parse_lines
from .lines import CorpusCounts
from .names import display_name, suffix_of


class Beginning(NamedTuple):
    """The beginning of a text, and what is known of its format."""

    path: str
    head: str
    columns: Columns
    named: str | None  # the format that the file's name says it has
    records: bool  # True if records are expected

    @property
    def line(self) -> str:
        """The first line that is not blank."""
        return _first_line(self.head)

    def find_json(self) -> str | None:
        """Return the name of the JSON format that this is one of, or None."""
        return find_json(self.head.lstrip(), expected=self.named in _JSON)


class TextFormat(NamedTuple):
    """A format of records, and the signs of it."""

    layout: RecordFormat
    suffixes: tuple[str, ...]
    begins: Callable[[Beginning], bool]  # True for a text that shows the format
    # True for one that shows none, where records are expected; it may raise CorpusError.
    is_default: Callable[[Beginning, CorpusCounts], bool]
    rows_are_lines: bool = False  # for a filter that reads whole rows


def _first_line(head: str) -> str:
    return next(filter(str.strip, head.split("\n")), "").rstrip("\r")


def _cut(line: str) -> Iterator[list[str]]:
    """Yield the cells of a line of CSV by each delimiter that it may have."""
    for delimiter in ",;":
        with suppress(csv.Error):
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
            if len(cells) > 1:
                yield cells


def _begins_array(text: Beginning) -> bool:
    first = text.head.lstrip()
    if first.startswith("{") and text.named == "json":
        refuse_one_object(text.path, first, text.columns)
    evident = text.records or ARRAY_OF_OBJECTS.match(first)
    return bool(evident) and text.find_json() == "json"


def _is_no_array(text: Beginning, _counts: CorpusCounts) -> bool:
    if text.named == "json" and (first := text.head.lstrip()):
        refuse_no_records(text.path, first)
    return False


def _begins_lines(text: Beginning) -> bool:
    return (text.records or f'"{TEXT}"' in text.line) and text.find_json() == "jsonl"


def _begins_csv(text: Beginning) -> bool:
    if text.named == "csv":  # any text is one of commas: the name decides
        return True
    if not text.records or text.columns.by_number or text.line.startswith(_BRACKETS):
        return False
    names = {*text.columns.names}
    return "\t" not in text.line and any(names & {*cells} for cells in _cut(text.line))


def _is_csv_by_default(text: Beginning, counts: CorpusCounts) -> bool:
    least = text.columns.least
    if least < 2 or not (delimiter := find_delimiter(text.head, least)):  # tabs give fewer
        return False
    counts.notice(
        f"{display_name(text.path)} has no tabs, and is read as CSV: {delimiter_name(delimiter)} "
        "separate its columns"
    )
    return True


def _begins_tsv(text: Beginning) -> bool:
    return text.records and "\t" in text.line and not text.line.startswith(_BRACKETS)


_JSON = ("json", "jsonl")
_BRACKETS = ("{", "[")
# The first that a text shows is its format, or else the first by default.
FORMATS: dict[str, TextFormat] = {
    "json": TextFormat(
        JsonObjects(parse_array, unit="item"), (".json",), _begins_array, _is_no_array
    ),
    "jsonl": TextFormat(
        JsonObjects(parse_lines, unit="line"),
        (".jsonl", ".ndjson"),
        _begins_lines,
        lambda text, _: text.named in _JSON,
    ),
    "csv": TextFormat(
        Delimited(split_quoted, quoted=True), (".csv",), _begins_csv, _is_csv_by_default
    ),
    "tsv": TextFormat(
        Delimited(split_tabs, quoted=False),
        (".tsv", ".tab"),
        _begins_tsv,
        lambda _, __: True,
        rows_are_lines=True,
    ),
}


def format_of_name(path: str) -> str | None:
    """Return the name of the format that a file's name says it has, or None."""
    suffix = suffix_of(path)
    return next((name for name, each in FORMATS.items() if suffix in each.suffixes), None)


def find_format(
    path: str, head: str, columns: Columns, counts: CorpusCounts, *, records: bool = False
) -> str | None:
    """Return the name of a text's format by its beginning, or None for lines of plain text.

    The file's name counts where the contents could be either. `records` says that records are
    expected under any name, as they are where columns are named.
    """
    named = format_of_name(path)
    records = records or bool(columns.names) or named is not None
    if columns.answered and not (records or head.partition("\n")[0].strip()):
        return None  # a line without letters is answered before anyone knows the next
    text = Beginning(path, head, columns, named, records)
    for name, each in FORMATS.items():
        if each.begins(text):
            return name
    if not records:
        return None
    return next(name for name, each in FORMATS.items() if each.is_default(text, counts))


def notice_plain_text(path: str, head: str, columns: Columns, counts: CorpusCounts) -> None:
    """Give notice of plain text that begins like JSON objects or, for filters, like a table."""
    name, first = display_name(path), head.lstrip()
    suspicion = None
    if not EMPTY_ARRAY.match(first) and find_json(first, expected=False) is not None:
        suspicion = f"{name} begins with JSON"
    elif columns.answered:
        suspicion = _suspect_names(name, head)
    if suspicion:
        counts.notice(f"{suspicion}, and is read as plain text: {columns.choice}")


def _suspect_names(name: str, head: str) -> str | None:
    line = _first_line(head)
    rows = (line.split("\t"), *_cut(line))
    return next(filter(None, (begins_with_names(name, cells) for cells in rows)), None)
