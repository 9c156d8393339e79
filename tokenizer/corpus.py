"""Readers of text: plain files, gzip, TSV and JSONL columns, parallel files, stdin.

Lines end at the byte 0x0A and nowhere else, so a file has as many lines here as for `wc -l`. One
carriage return before it is dropped. Memory is bounded by the longest line kept, 1 MiB.
"""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, cast

from .errors import CorpusError

MAX_LINE_BYTES = 1 << 20  # 1 MB takes seconds to encode; longer lines are shortened


GZIP_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error)


def damaged_gzip(path: str, error: BaseException) -> CorpusError:
    """Return the error for a gzip file that is truncated or cannot be unpacked."""
    return CorpusError(f"{path} is a damaged gzip file: {error}")


@dataclass
class CorpusCounts:
    """The numbers of lines read, and of those changed in order to be read."""

    lines: int = 0
    replaced: int = 0  # lines with invalid UTF-8, shown as U+FFFD
    shortened: int = 0  # lines over MAX_LINE_BYTES


@dataclass(frozen=True)
class TextFile:
    """A source of lines: a path (`-` is stdin) and, for tables, a column."""

    path: str
    column: str | None = None  # TSV: a number from 1; JSONL: a field's name
    plain: bool = False  # whole lines, whatever the suffix of the path


@contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """Open a file, a gzip file or stdin for reading bytes."""
    if path == "-":
        yield sys.stdin.buffer
    elif path.endswith(".gz"):
        with gzip.open(path, "rb") as stream:
            yield cast(BinaryIO, stream)
    else:
        with Path(path).open("rb") as stream:
            yield stream


def byte_lines(stream: BinaryIO, counts: CorpusCounts) -> Iterator[bytes]:
    """Yield lines without their ends; those over MAX_LINE_BYTES are shortened and counted."""
    while raw := stream.readline(MAX_LINE_BYTES + 2):  # two bytes for the line's end
        counts.lines += 1
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES)
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        if len(line) > MAX_LINE_BYTES:
            counts.shortened += 1
            line = _trim_partial_character(line[:MAX_LINE_BYTES])
        yield line


def _trim_partial_character(cut: bytes) -> bytes:
    """Drop the up to three bytes of a UTF-8 character that was cut in two."""
    for end in range(len(cut), len(cut) - 4, -1):
        if cut[end - 1] < 0x80:
            return cut[:end]
        if cut[end - 1] >= 0xC0:  # a first byte, which encodes the character's length
            size = 2 if cut[end - 1] < 0xE0 else 3 if cut[end - 1] < 0xF0 else 4
            return cut if end - 1 + size <= len(cut) else cut[: end - 1]
    return cut


def decode_line(raw: bytes, counts: CorpusCounts) -> str:
    """Decode UTF-8, with U+FFFD in place of invalid bytes; such lines are counted."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        counts.replaced += 1
        return raw.decode("utf-8", errors="replace")


def read_lines(text: TextFile, counts: CorpusCounts | None = None) -> Iterator[str]:
    """Yield the lines of a file, or of its column. Raises OSError or CorpusError."""
    counts = counts if counts is not None else CorpusCounts()
    with open_bytes(text.path) as stream:
        try:
            for number, raw in enumerate(byte_lines(stream, counts), 1):
                line = decode_line(raw, counts)
                yield extract_column(line, text, number, counts) if is_records(text) else line
        except GZIP_ERRORS as error:
            raise damaged_gzip(text.path, error) from None


def read_all(texts: Sequence[TextFile], counts: CorpusCounts | None = None) -> Iterator[str]:
    """Yield the lines of several files, one after another."""
    for text in texts:
        yield from read_lines(text, counts)


def read_chunks(
    text: TextFile, counts: CorpusCounts | None = None, *, size: int = 1 << 16
) -> Iterator[str]:
    """Yield the text of a plain file in chunks of about `size` characters that end at a line's end.

    Line ends are kept. Each record of a table is a chunk of its own.
    """
    if is_records(text):
        yield from read_lines(text, counts)
        return
    chunk: list[str] = []
    length = 0
    for line in read_lines(text, counts):
        chunk.append(line)
        length += len(line) + 1
        if length >= size:
            yield "\n".join(chunk) + "\n"
            chunk, length = [], 0
    if chunk:
        yield "\n".join(chunk) + "\n"


def is_json(text: TextFile) -> bool:
    """Return True if each line is a JSON object."""
    return not text.plain and _format(text.path) in {".jsonl", ".ndjson"}


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
                f"{matched + remaining:,} lines, {_describe(shorter)} has {matched:,}; "
                "they must match line for line"
            )
        yield cast(str, source), cast(str, target)


def _describe(texts: Sequence[TextFile]) -> str:
    return " + ".join(f"{t.path}:{t.column}" if t.column else t.path for t in texts)


def _format(path: str) -> str:
    return Path(path.removesuffix(".gz")).suffix


def is_records(text: TextFile) -> bool:
    """Return True if each line is a document of its own (a table), not part of a running text."""
    if text.plain:
        return False
    return text.column is not None or _format(text.path) in {".tsv", ".jsonl", ".ndjson"}


def extract_column(line: str, text: TextFile, number: int, counts: CorpusCounts) -> str:
    """Return a column of a table's line: the selected one, else the first (JSONL: `text`).

    Raises CorpusError if there is none.
    """
    location = f"{text.path}, line {number}"
    if _format(text.path) in {".jsonl", ".ndjson"}:
        return _field(line, text.column or "text", location, counts)
    column = text.column or "1"
    if not column.isdecimal() or column == "0":
        raise CorpusError(f"{text.path} is a TSV file: columns are numbers from 1, not {column!r}")
    cells = line.split("\t")
    if len(cells) < int(column):
        raise CorpusError(f"{location} has {len(cells)} columns; column {column} was requested")
    return cells[int(column) - 1]


def _field(line: str, name: str, location: str, counts: CorpusCounts) -> str:
    try:
        value = json.loads(line)[name]
    except (ValueError, RecursionError):
        raise CorpusError(f"{location} is not JSON") from None
    except (KeyError, TypeError):
        raise CorpusError(
            f"{location} has no field {name!r}; name another with --column or --columns"
        ) from None
    if not isinstance(value, str):
        raise CorpusError(f"{location}: field {name!r} is not text")
    return replace_surrogates(value, counts)


def replace_surrogates(value: object, counts: CorpusCounts) -> str:
    """Return a value as text, with U+FFFD in place of lone surrogates, which no tokenizer takes."""
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        counts.replaced += 1
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
