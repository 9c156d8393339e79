"""Named texts as UTF-8 bytes: files, pipes and stdin, recognised by their first bytes."""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import CorpusError
from .encodings import find_encoding, is_utf8, transcoded
from .lines import CorpusCounts, decode_line
from .packing import CHUNK, buffered, unpacked
from .signatures import HEAD_BYTES, PACKINGS, find_packing, is_undecided, refuse_binary

STDIN = "-"
_MAX_LAYERS = 3  # of compression, as of a .gz inside a .gz
_MAX_ZEROS, _MAX_ZEROS_INVALID = 0.1, 0.001  # share of zero bytes in a corpus: UTF-8, or not


class SpooledPath(str):
    """A name whose text could be read only once, and the file that has a copy of it."""

    copy: Path

    def __new__(cls, name: str, copy: Path) -> "SpooledPath":
        """Return the name as a string that knows its copy."""
        path = super().__new__(cls, name)
        path.copy = copy
        return path


def file_of(path: str) -> Path:
    """Return the file to open for a name: its copy, if it was spooled."""
    return path.copy if isinstance(path, SpooledPath) else Path(path)


def _is_stdin(path: str) -> bool:
    return path == STDIN and not isinstance(path, SpooledPath)


def is_rereadable(path: str) -> bool:
    """Return True for a regular file: pipes, devices and stdin give their bytes only once.

    Raises OSError for a name that nothing has.
    """
    return not _is_stdin(path) and stat.S_ISREG(file_of(path).stat().st_mode)


def content_hash(path: str) -> str:
    """Return the SHA-256 sum of a file's bytes. Raises OSError."""
    with file_of(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def open_raw(path: str) -> Iterator[BinaryIO]:
    """Open a file or stdin for its bytes as they are. Raises OSError, for folders too."""
    if _is_stdin(path):
        yield sys.stdin.buffer
        return
    with file_of(path).open("rb", buffering=CHUNK) as stream:
        yield stream


@contextmanager
def open_text(path: str, *, corpus: bool = False) -> Iterator[BinaryIO]:
    """Open a text as UTF-8, unpacked, and without a byte order mark.

    Compressions and UTF-16 are read, other binary files refused by CorpusError. In a corpus, which
    is read from its beginning to its end, lines may end in CR alone, and a text full of zero bytes
    is refused; a filter's line may hold any byte.
    """
    with open_raw(path) as raw:
        yield decoded("stdin" if _is_stdin(path) else path, raw, corpus=corpus)


def decoded(path: str, raw: BinaryIO, *, corpus: bool) -> BinaryIO:
    """Return the text of a stream of bytes, as `open_text` does."""
    enough = CHUNK if corpus else 0
    stream, head = _peek(raw, enough)
    for _ in range(_MAX_LAYERS):
        if (packing := find_packing(head)) is None:
            break
        try:
            stream = unpacked(path, packing, PACKINGS[packing].open(stream))
        except CorpusError as error:
            raise CorpusError(f"{path}: {error}") from None
        stream, head = _peek(stream, enough)
    refuse_binary(head[:HEAD_BYTES], path)
    encoding, mark = find_encoding(head)
    stream.read(mark)
    if encoding is not None:
        stream, head = _peek(transcoded(stream, encoding), enough)
    if corpus:
        _refuse_zeros(head, path)
        if ends_in_cr(head):
            return _with_newlines(stream)
    return stream


def _refuse_zeros(head: bytes, path: str) -> None:
    """Raise CorpusError for a text that begins with more zero bytes than stray ones."""
    limit = _MAX_ZEROS if is_utf8(head) else _MAX_ZEROS_INVALID
    if (zeros := head.count(0)) > limit * len(head):
        raise CorpusError(
            f"{path} is a binary file, not text: {zeros:,} of its first {len(head):,} bytes are "
            "zero"
        )


def ends_in_cr(head: bytes) -> bool:
    """Return True for the beginning of a text that has several lines by CR, and one by LF."""
    return b"\r" in head[:-1] and b"\n" not in head


def _with_newlines(stream: BinaryIO) -> BinaryIO:
    """Return a text whose lines end in CR alone, as on old Macs, with LF."""
    return buffered(lambda size: stream.read1(size).replace(b"\r", b"\n"))  # type: ignore[attr-defined]


def _peek(stream: BinaryIO, enough: int) -> tuple[BinaryIO, bytes]:
    """Return a stream and its first bytes, which it will give again.

    Without `enough` bytes it waits for no more than tell a binary file from text: someone may be
    typing.
    """
    head = b""
    while not head or len(head) < enough or is_undecided(head):
        more: bytes = stream.read1(CHUNK)  # type: ignore[attr-defined]
        if not more:
            return buffered(lambda _: b"", head), head
        head += more
    return buffered(stream.read1, head), head  # type: ignore[attr-defined]


def read_text(path: str, counts: CorpusCounts | None = None, *, strict: bool = False) -> str:
    """Return a whole text, such as a prompt; invalid bytes become U+FFFD, and are counted.

    Raises OSError, CorpusError, and if `strict` UnicodeDecodeError for invalid bytes.
    """
    with open_text(path) as stream:
        raw = stream.read()
    return raw.decode("utf-8") if strict else decode_line(raw, counts or CorpusCounts())


def suffix_of(path: str) -> str:
    """Return the ending of a name, in lower case, without that of a compression."""
    name = os.fspath(path).lower()
    for ending in (suffix for packing in PACKINGS.values() for suffix in packing.suffixes):
        name = name.removesuffix(ending)
    return Path(name).suffix
