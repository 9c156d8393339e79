"""Named texts as UTF-8 bytes: files, pipes and stdin, recognised by their first bytes."""

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import CorpusError, RepeatedStreamError
from ..quantities import format_count
from .encodings import find_encoding, is_utf8, transcoded
from .lines import CorpusCounts, decode_line
from .names import STDIN, display_name
from .packing import CHUNK, buffered, unpacked
from .signatures import HEAD_BYTES, PACKINGS, find_packing, is_undecided, refuse_binary

_MAX_LAYERS = 3  # of compression, as of a .gz inside a .gz
_MAX_FIRST_LINE = 1 << 24  # bytes in which an LF is looked for, where there are CRs
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


def refuse_repeated_streams(names: Iterable[str]) -> None:
    """Raise RepeatedStreamError where two names stand for one stream that is read only once.

    Names that nothing has are left to those who open them.
    """
    seen: dict[object, str] = {}
    for name in names:
        stream = _stream(name)
        if stream is None:
            continue
        if stream in seen:
            raise RepeatedStreamError(
                f"{display_name(name)} is named twice, and can be read only once: save it to a file"
                if seen[stream] == name
                else f"{seen[stream]} and {name} are one stream, which can be read only once: save "
                "it to a file"
            )
        seen[stream] = name


def _stream(name: str) -> object:
    """Return the identity of a stream that can be read only once; None for a file or a device."""
    try:
        state = os.fstat(sys.stdin.fileno()) if _is_stdin(name) else file_of(name).stat()
    except (OSError, ValueError, AttributeError):
        return STDIN if _is_stdin(name) else None
    is_null = os.path.samestat(state, Path(os.devnull).stat())
    if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode) or is_null:
        return STDIN if _is_stdin(name) else None
    return state.st_dev, state.st_ino


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
def open_text(
    path: str,
    *,
    corpus: bool = False,
    notice: Callable[[str], None] | None = None,
    is_open: Callable[[bytes], bool] | None = None,
    follow: Callable[[BinaryIO], None] | None = None,
) -> Iterator[BinaryIO]:
    """Open a text as UTF-8, unpacked, and without a byte order mark.

    Compressions and UTF-16 are read, other binary files refused by CorpusError. In a corpus, which
    is read from its beginning to its end, lines may end in CR alone, of which `notice` is told, and
    a text full of zero bytes is refused; a filter's line may hold any byte. Beginnings that
    `is_open` returns True for are waited for to go on, up to 64 KiB. `follow` gets the stream of
    bytes as they are stored.
    """
    with open_raw(path) as raw:
        if follow is not None:
            follow(raw)
        text = decoded(display_name(path), raw, corpus=corpus, notice=notice)
        yield text if is_open is None else _peek(text, 0, is_open)[0]


def decoded(
    path: str, raw: BinaryIO, *, corpus: bool, notice: Callable[[str], None] | None = None
) -> BinaryIO:
    """Return the text of a stream of bytes, as `open_text` does."""
    enough = CHUNK if corpus else 0
    stream, head = _peek(raw, enough)
    layers = 0
    while (packing := find_packing(head)) is not None:
        if (layers := layers + 1) > _MAX_LAYERS:
            raise CorpusError(f"{path} is packed more than {_MAX_LAYERS} times: unpack it")
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
        stream, by_cr = _by_lines(path, stream, head)
        if by_cr and notice is not None:
            notice(f"{path} ends its lines with CR alone, as on old Macs: they are read so")
    return stream


def _refuse_zeros(head: bytes, path: str) -> None:
    """Raise CorpusError for a text that begins with more zero bytes than stray ones."""
    limit = _MAX_ZEROS if is_utf8(head) else _MAX_ZEROS_INVALID
    if (zeros := head.count(0)) > limit * len(head):
        raise CorpusError(
            f"{path} is a binary file, not text: {zeros:,} of its first "
            f"{format_count(len(head), 'byte')} are "
            "zero"
        )


def ends_in_cr(head: bytes) -> bool:
    """Return True for the beginning of a text that has several lines by CR, and one by LF."""
    return b"\r" in head[:-1] and b"\n" not in head


def _by_lines(path: str, stream: BinaryIO, head: bytes) -> tuple[BinaryIO, bool]:
    """Return a text with LF for line ends, and True if its lines end in CR alone.

    That is so where a CR comes up and no LF, in the first 64 KiB and far beyond: a CR in a long
    first line makes no lines of it.
    """
    if not ends_in_cr(head):
        return stream, False
    read = stream.read1  # type: ignore[attr-defined]
    parts = [stream.read(len(head))]
    size = len(head)
    while size < _MAX_FIRST_LINE and b"\n" not in parts[-1] and (more := read(CHUNK)):
        parts.append(more)
        size += len(more)
    beginning = b"".join(parts)
    if b"\n" in beginning:
        return buffered(read, beginning), False
    return buffered(_CrLines(path, buffered(read, beginning)).read), True


class _CrLines:
    """A text whose lines end in CR alone, with LF in their place; CRLF is one end, too."""

    def __init__(self, path: str, stream: BinaryIO) -> None:
        self._path, self._stream, self._after_cr = path, stream, False

    def read(self, size: int) -> bytes:
        """Return up to so many bytes. Raises CorpusError for an LF alone: which ends a line?"""
        while chunk := self._stream.read1(size):  # type: ignore[attr-defined]
            text: bytes = chunk[1:] if self._after_cr and chunk.startswith(b"\n") else chunk
            self._after_cr = chunk.endswith(b"\r")
            if text.count(b"\n") > text.count(b"\r\n"):
                raise CorpusError(
                    f"{self._path} has lines that end in CR alone, and others in LF alone: convert "
                    "it (tr '\\r' '\\n', or tr -d '\\r')"
                )
            if text:
                return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return b""


def _peek(
    stream: BinaryIO, enough: int, is_open: Callable[[bytes], bool] = is_undecided
) -> tuple[BinaryIO, bytes]:
    """Return a stream and its first bytes, which it will give again.

    Without `enough` bytes it waits for no more than tell what the text is: someone may be typing.
    """
    head = b""
    while not head or len(head) < enough or (len(head) < CHUNK and is_open(head)):
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
