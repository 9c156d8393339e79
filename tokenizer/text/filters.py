"""Lines for filters: as many as there are bytes 0x0A, whatever is in them, or records."""

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from .columns import TEXT, Columns, Record
from .delimited import first_cells
from .formats import (
    FORMATS,
    find_format,
    format_of_name,
    notice_plain_text,
)
from .json_beginnings import find_json, is_open
from .lines import MAX_LINE_BYTES, CorpusCounts, CorpusLines, byte_lines, decode_line
from .names import display_name
from .packing import CHUNK
from .sources import ends_in_cr, is_rereadable, open_text

FILTER_COLUMNS = Columns(
    answered=True,
    sole=True,
    remedy="name the text's with --column, or read whole lines with --plain",
    choice="--column NAME reads a column of it",
)


def read_filter_lines(path: str, counts: CorpusCounts) -> Iterator[str]:
    """Yield the lines of a text, those over 1 MiB shortened. Raises OSError or CorpusError."""
    with open_text(path, follow=counts.follow) as stream:
        yield from _plain_lines(path, stream, counts)


def read_filter_records(
    path: str,
    counts: CorpusCounts,
    columns: Columns = FILTER_COLUMNS,
    *,
    as_json: bool = False,
    whole_rows: bool = False,
) -> Iterator[Record]:
    """Yield the records of a text, or the lines of one that has no format of records.

    `as_json` says that it is JSON; with `whole_rows`, the rows of a TSV are lines where no column
    is named, and none has the name `text`. Raises OSError, or CorpusError where what follows
    cannot be read.
    """
    named = format_of_name(path)
    expected = as_json or bool(columns.names) or named is not None
    is_begun = partial(_is_open, records=expected)
    with open_text(path, is_open=is_begun, follow=counts.follow) as stream:
        head = stream.peek(CHUNK).decode("utf-8", "replace")  # type: ignore[attr-defined]
        if as_json:
            name: str | None = find_json(head.lstrip(), expected=True) or "jsonl"
        elif whole_rows and not columns.names and _rows_are_lines(named, head):
            name = None
        else:
            name = find_format(path, head, columns, counts)
        if name is None:
            notice_plain_text(path, head, columns, counts)
            yield from (Record((line,)) for line in _plain_lines(path, stream, counts))
            return
        if not expected:
            counts.notice(
                f"{display_name(path)} begins with JSON, and its texts are read; --plain reads "
                "whole lines"
            )
        lines = CorpusLines(path, stream, counts, checked=False)
        for record in FORMATS[name].layout.records(lines, columns):
            yield _shortened(record, counts)


def _rows_are_lines(named: str | None, head: str) -> bool:
    return bool(named and FORMATS[named].rows_are_lines) and TEXT not in first_cells(head)


def _is_open(head: bytes, *, records: bool) -> bool:
    return is_open(head.decode("utf-8", "replace"), records=records)


def _plain_lines(path: str, stream: BinaryIO, counts: CorpusCounts) -> Iterator[str]:
    if is_rereadable(path) and ends_in_cr(stream.peek()):  # type: ignore[attr-defined]
        counts.notice(
            f"{path} ends its lines with CR alone: it is one line here (tr '\\r' '\\n' makes "
            "lines of it)"
        )
    for raw in byte_lines(stream, counts):
        yield decode_line(raw, counts)


def _shortened(record: Record, counts: CorpusCounts) -> Record:
    """Return a record whose texts have no more characters than a line may have bytes."""
    if all(len(text) <= MAX_LINE_BYTES for text in record.texts):
        return record
    counts.shortened += 1
    return record._replace(texts=tuple(text[:MAX_LINE_BYTES] for text in record.texts))
