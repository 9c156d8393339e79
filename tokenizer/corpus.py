"""Reading text: plain files, gzip, TSV and JSONL columns, pairs, stdin.

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

MAX_LINE_BYTES = 1 << 20  # a line of 1 MB takes seconds to encode; what is longer is cut


DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error)


def damaged(path: str, error: BaseException) -> CorpusError:
    """What to say of a file that breaks off or does not unpack."""
    return CorpusError(f"{path} is a damaged gzip file: {error}")


@dataclass
class CorpusCounts:
    """What was read, and what had to be mended to read it."""

    lines: int = 0
    replaced: int = 0  # lines with invalid UTF-8, shown as U+FFFD
    shortened: int = 0  # lines over MAX_LINE_BYTES


@dataclass(frozen=True)
class TextFile:
    """A place where lines of text come from: a path (`-` is stdin) and, for tables, a column."""

    path: str
    column: str | None = None  # TSV: a number from 1; JSONL: a field's name
    plain: bool = False  # whole lines, whatever the file's name says


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
    """Lines without their ends; those over MAX_LINE_BYTES are cut and counted."""
    while raw := stream.readline(MAX_LINE_BYTES + 2):  # two for the line's end
        counts.lines += 1
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES)
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        if len(line) > MAX_LINE_BYTES:
            counts.shortened += 1
            line = _whole_characters(line[:MAX_LINE_BYTES])
        yield line


def _whole_characters(cut: bytes) -> bytes:
    """Less the up to three bytes of a character that was cut in two."""
    for end in range(len(cut), len(cut) - 4, -1):
        if cut[end - 1] < 0x80:
            return cut[:end]
        if cut[end - 1] >= 0xC0:  # a character's first byte, which says its length
            size = 2 if cut[end - 1] < 0xE0 else 3 if cut[end - 1] < 0xF0 else 4
            return cut if end - 1 + size <= len(cut) else cut[: end - 1]
    return cut


def decode_line(raw: bytes, counts: CorpusCounts) -> str:
    """UTF-8, with U+FFFD in place of what is none, counted."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        counts.replaced += 1
        return raw.decode("utf-8", errors="replace")


def read_lines(text: TextFile, counts: CorpusCounts | None = None) -> Iterator[str]:
    """The lines of one source, column taken. Raises OSError or CorpusError."""
    counts = counts if counts is not None else CorpusCounts()
    with open_bytes(text.path) as stream:
        try:
            for number, raw in enumerate(byte_lines(stream, counts), 1):
                line = decode_line(raw, counts)
                yield column_of(line, text, number, counts) if _is_table(text) else line
        except DAMAGE as error:
            raise damaged(text.path, error) from None


def read_all(texts: Sequence[TextFile], counts: CorpusCounts | None = None) -> Iterator[str]:
    """The lines of several sources, one after another."""
    for text in texts:
        yield from read_lines(text, counts)


def read_chunks(
    text: TextFile, counts: CorpusCounts | None = None, *, size: int = 1 << 16
) -> Iterator[str]:
    """The text of a plain file with its line ends, in pieces of about `size` characters that end
    where a line does; each record of a table is a piece of its own."""
    if _is_table(text):
        yield from read_lines(text, counts)
        return
    piece: list[str] = []
    length = 0
    for line in read_lines(text, counts):
        piece.append(line)
        length += len(line) + 1
        if length >= size:
            yield "\n".join(piece) + "\n"
            piece, length = [], 0
    if piece:
        yield "\n".join(piece) + "\n"


def is_records(text: TextFile) -> bool:
    """Whether each line is a document of its own (a table), rather than part of a running text."""
    return _is_table(text)


def is_json(text: TextFile) -> bool:
    """Whether each line is a JSON object."""
    return not text.plain and _format(text.path) in {".jsonl", ".ndjson"}


def read_pairs(
    sources: Sequence[TextFile], targets: Sequence[TextFile], counts: CorpusCounts | None = None
) -> Iterator[tuple[str, str]]:
    """Line n of the sources with line n of the targets.

    Raises CorpusError naming both counts where one side is longer.
    """
    missing = object()
    pairs = zip_longest(read_all(sources, counts), read_all(targets, counts), fillvalue=missing)
    for matched, (source, target) in enumerate(pairs):
        if source is missing or target is missing:
            more = 1 + sum(1 for _ in pairs)
            longer, shorter = (targets, sources) if source is missing else (sources, targets)
            raise CorpusError(
                f"source and target differ in length: {_names(longer)} has {matched + more:,} "
                f"lines, {_names(shorter)} has {matched:,}; they must match line for line"
            )
        yield cast(str, source), cast(str, target)


def _names(texts: Sequence[TextFile]) -> str:
    return " + ".join(f"{t.path}:{t.column}" if t.column else t.path for t in texts)


def _format(path: str) -> str:
    return Path(path.removesuffix(".gz")).suffix


def _is_table(text: TextFile) -> bool:
    if text.plain:
        return False
    return text.column is not None or _format(text.path) in {".tsv", ".jsonl", ".ndjson"}


def column_of(line: str, text: TextFile, number: int, counts: CorpusCounts) -> str:
    """The column of a table's line that is asked for, the first (JSONL: `text`) unless said.

    Raises CorpusError where there is none.
    """
    where = f"{text.path}, line {number}"
    if _format(text.path) in {".jsonl", ".ndjson"}:
        return _field(line, text.column or "text", where, counts)
    column = text.column or "1"
    if not column.isdecimal() or column == "0":
        raise CorpusError(f"{text.path} is a TSV file: columns are numbers from 1, not {column!r}")
    cells = line.split("\t")
    if len(cells) < int(column):
        raise CorpusError(f"{where} has {len(cells)} columns; column {column} was asked for")
    return cells[int(column) - 1]


def _field(line: str, name: str, where: str, counts: CorpusCounts) -> str:
    try:
        value = json.loads(line)[name]
    except (ValueError, RecursionError):
        raise CorpusError(f"{where} is not JSON") from None
    except (KeyError, TypeError):
        raise CorpusError(
            f"{where} has no field {name!r}; name another with --column or --columns"
        ) from None
    if not isinstance(value, str):
        raise CorpusError(f"{where}: field {name!r} is not text")
    return mended(value, counts)


def mended(value: object, counts: CorpusCounts) -> str:
    """A JSON text, with U+FFFD in place of halves of surrogate pairs, which no tokenizer takes."""
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        counts.replaced += 1
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
