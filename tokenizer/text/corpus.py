"""Corpora: texts to train on, read whole, as lines, records, pairs or running text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple, cast

from ..errors import CorpusError
from ..quantities import format_count
from .columns import Columns, RecordFormat, Row, rows
from .filters import read_filter_lines
from .formats import FORMATS, find_format, notice_plain_text
from .json_records import JsonObjects
from .lines import MAX_LINE_BYTES, CorpusCounts, CorpusLines
from .packing import CHUNK
from .sources import open_text

_CHUNK_CHARACTERS = 1 << 16  # of running text


@dataclass(frozen=True)
class TextFile:
    """A source of lines: a path (`-` is stdin) and, for tables, a column or several (`1,2`)."""

    path: str
    column: str | None = None  # TSV, CSV: a number from 1, or a name in the header; JSON: a field
    plain: bool = False  # whole lines, whatever is in them
    option: str | None = None  # that names the column, for errors


class TextChunk(NamedTuple):
    """A part of a document of running text."""

    text: str
    ends_document: bool  # True for the last chunk of its document
    is_record: bool = False  # True if a table has a record for each document


@contextmanager
def open_corpus(path: str, counts: CorpusCounts) -> Iterator[tuple[CorpusLines, str]]:
    """Open a corpus; give its lines, and its beginning, up to 64 KiB.

    Raises OSError or CorpusError.
    """
    opened = open_text(path, corpus=True, notice=counts.notice, follow=counts.follow)
    with opened as stream:
        head = stream.peek(CHUNK).decode("utf-8", "replace")  # type: ignore[attr-defined]
        yield CorpusLines(path, stream, counts), head


@contextmanager
def _open_records(
    path: str, columns: Columns, counts: CorpusCounts, *, records: bool = False
) -> Iterator[tuple[CorpusLines, RecordFormat | None]]:
    """Open a corpus; give its lines, and its format where it has records."""
    with open_corpus(path, counts) as (lines, head):
        name = find_format(path, head, columns, counts, records=records)
        layout = None if name is None else FORMATS[name].layout
        if layout is None:
            notice_plain_text(path, head, columns, counts)
        yield lines, layout


def read_lines(
    text: TextFile, counts: CorpusCounts | None = None, *, all_columns: bool = False
) -> Iterator[str]:
    """Yield the lines of a file, or of its columns. Raises OSError or CorpusError.

    Without a column, tables give their column `text`, or their only one, or `all_columns`.
    """
    counts = counts if counts is not None else CorpusCounts()
    if text.plain:
        yield from read_filter_lines(text.path, counts)
        return
    columns = _columns(text, None if all_columns else 1)
    with _open_records(text.path, columns, counts) as (lines, layout):
        if layout is None:
            yield from lines
        else:
            for row in rows(layout, lines, columns):
                yield from row


def read_all(
    texts: Sequence[TextFile], counts: CorpusCounts | None = None, *, all_columns: bool = False
) -> Iterator[str]:
    """Yield the lines of several files, one after another."""
    for text in texts:
        yield from read_lines(text, counts, all_columns=all_columns)


def read_columns(
    path: str, columns: Sequence[str], counts: CorpusCounts | None = None
) -> Iterator[Row]:
    """Yield the columns of each record of a table, which is read once.

    Without names they are the first two; in JSON those of `translation`, or the only two texts.
    Raises OSError or CorpusError.
    """
    counts = counts if counts is not None else CorpusCounts()
    wanted = Columns(tuple(columns), default=2, is_pair=True)
    with _open_records(path, wanted, counts, records=True) as (lines, layout):
        assert layout is not None
        yield from rows(layout, lines, wanted)


def read_objects(path: str, counts: CorpusCounts | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the values of a file of JSON records, each with its location for messages.

    Raises OSError, and CorpusError for another file and for what is no JSON.
    """
    counts = counts if counts is not None else CorpusCounts()
    with _open_records(path, Columns(), counts, records=True) as (lines, layout):
        if not isinstance(layout, JsonObjects):
            raise CorpusError(f"{lines.name} is no file of JSON records (JSONL, or a JSON array)")
        yield from layout.located(lines)


def read_documents(
    text: TextFile, counts: CorpusCounts | None = None, *, size: int = _CHUNK_CHARACTERS
) -> Iterator[TextChunk]:
    """Yield running text in chunks: a plain file is a document, and so is each record of a table.

    The chunks of a plain file have about `size` characters and end at a line's end, which is kept;
    lines over 1 MiB, and records as long, come in several chunks. Raises OSError or CorpusError.
    """
    counts = counts if counts is not None else CorpusCounts()
    columns = _columns(text, 1)
    with _open_records(text.path, columns, counts) as (lines, layout):
        if layout is not None:
            for (record,) in rows(layout, lines, columns):
                yield from _record_chunks(record)
            return
        previous: str | None = None
        for chunk in _plain_chunks(lines, size):
            if previous is not None:
                yield TextChunk(previous, False)
            previous = chunk
        if previous is not None:
            yield TextChunk(previous, True)


def _plain_chunks(lines: CorpusLines, size: int) -> Iterator[str]:
    chunk: list[str] = []
    length = 0
    for piece, ends_line in lines.pieces():
        chunk.append(f"{piece}\n" if ends_line else piece)
        length += len(piece) + 1
        if length >= size:
            yield "".join(chunk)
            chunk, length = [], 0
    if chunk:
        yield "".join(chunk)


def _record_chunks(record: str) -> Iterator[TextChunk]:
    """Yield a record, a very long one in parts that end before spaces."""
    start = 0
    while len(record) - start > MAX_LINE_BYTES:
        limit = start + MAX_LINE_BYTES
        space = record.rfind(" ", start + MAX_LINE_BYTES // 2, limit)
        end = space if space > 0 else limit
        yield TextChunk(record[start:end], False, is_record=True)
        start = end
    yield TextChunk(record[start:], True, is_record=True)


def _columns(text: TextFile, default: int | None) -> Columns:
    names = tuple(text.column.split(",")) if text.column else ()
    remedy = "give a file of the text alone, or name its column text"
    if text.option or names:
        remedy = f"name the text's with {text.option or '--column or --columns'}"
    return Columns(names, default, sole=default is not None, remedy=remedy)


def read_pairs(
    sources: Sequence[TextFile], targets: Sequence[TextFile], counts: CorpusCounts | None = None
) -> Iterator[tuple[str, str]]:
    """Yield line n of the sources with line n of the targets.

    Raises CorpusError naming both counts if one side is longer.
    """
    missing = object()
    pairs = zip_longest(read_all(sources, counts), read_all(targets, counts), fillvalue=missing)
    for matched, (source, target) in enumerate(pairs):
        if source is missing or target is missing:
            remaining = 1 + sum(1 for _ in pairs)
            longer, shorter = (targets, sources) if source is missing else (sources, targets)
            raise CorpusError(
                f"source and target differ in length: {_describe(longer)} has "
                f"{format_count(matched + remaining, 'line')}, {_describe(shorter)} has "
                f"{matched:,}; "
                "they must match line for line"
            )
        yield cast(str, source), cast(str, target)


def _describe(texts: Sequence[TextFile]) -> str:
    return " + ".join(f"{t.path}:{t.column}" if t.column else t.path for t in texts)
