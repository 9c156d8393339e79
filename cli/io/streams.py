"""stdin, stdout and files."""

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from tokenizer import CorpusCounts


def input_lines(
    paths: Sequence[str] | None, counts: "CorpusCounts", column: str | None = None
) -> Iterator[str]:
    """The lines of files, or of stdin where there are none (or `-`); whole, unless a column is
    asked for."""
    from tokenizer import TextFile, read_all

    texts = [TextFile(path, column, plain=column is None) for path in paths or ["-"]]
    return read_all(texts, counts)


def piped_text() -> str:
    """All of stdin, where something is piped into the program; else nothing."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", errors="replace")


class Writer:
    """Lines and pieces of text to a stream, as UTF-8 whatever the locale."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """One line, shown at once."""
        self.piece(f"{text}\n")

    def piece(self, text: str) -> None:
        """A piece of a line, shown at once."""
        self._stream.write(text.encode("utf-8", errors="replace"))
        self._stream.flush()


@contextmanager
def output(path: Path | None, *, reading: Sequence[str] | None = None) -> Iterator[Writer]:
    """Where results go: a file other than those that are being read, or stdout."""
    read = [Path(name) for name in reading or [] if name != "-" and Path(name).exists()]
    if path is not None and path.exists() and any(path.samefile(other) for other in read):
        raise FileExistsError(errno.EEXIST, "is the input; name another output", str(path))
    if path is None:
        yield Writer(sys.stdout.buffer)
    else:
        with path.open("wb") as stream:
            yield Writer(stream)
