"""Lines for filters: as many as there are bytes 0x0A, whatever is in them."""

import json
from collections.abc import Iterator
from typing import Any

from ..errors import CorpusError
from .formats import field_names, field_value, listed
from .lines import CorpusCounts, byte_lines, decode_line, replace_surrogates
from .sources import ends_in_cr, is_rereadable, open_text, suffix_of


def read_filter_lines(path: str, counts: CorpusCounts) -> Iterator[str]:
    """Yield the lines of a text, those over 1 MiB shortened. Raises OSError or CorpusError."""
    with open_text(path) as stream:
        if is_rereadable(path) and ends_in_cr(stream.peek()):  # type: ignore[attr-defined]
            counts.notice(
                f"{path} ends its lines with CR alone: it is one line here (tr '\\r' '\\n' makes "
                "lines of it)"
            )
        for raw in byte_lines(stream, counts):
            yield decode_line(raw, counts)


def read_filter_column(path: str, column: str, counts: CorpusCounts) -> Iterator[str]:
    """Yield a column of each line: a field of JSON, else the number of a tab-separated one."""
    as_json = is_json_lines(path)
    for number, line in enumerate(read_filter_lines(path, counts), 1):
        location = f"{path}, line {number}"
        if as_json:
            yield _field(line, column, location, counts)
        else:
            yield cell(line, column, location)


def is_json_lines(path: str) -> bool:
    """Return True for a name that says that each line is a JSON object."""
    return suffix_of(path) in {".jsonl", ".ndjson"}


def cell(line: str, column: str, location: str) -> str:
    """Return a tab-separated column. Raises CorpusError if there is none."""
    if not (column.isdecimal() and int(column)):
        raise CorpusError(
            f"{location}: columns are numbers from 1, not {column!r}, but for JSON lines"
        )
    cells = line.split("\t")
    if len(cells) < int(column):
        raise CorpusError(f"{location} has {len(cells)} columns; column {column} was requested")
    return cells[int(column) - 1]


def _field(line: str, name: str, location: str, counts: CorpusCounts) -> str:
    """Return a field of a JSON object, "" for a blank line. Raises CorpusError if there is none."""
    if not line.strip():
        return ""
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise CorpusError(f"{location} is not JSON") from None
    try:
        value = field_value(record, name)
    except KeyError:
        raise CorpusError(
            f"{location} has no field {name!r}; it has {listed(field_names(record))}: name "
            "another with --column"
        ) from None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(f"{location}: field {name!r} is not text")
    return replace_surrogates(value, counts)
