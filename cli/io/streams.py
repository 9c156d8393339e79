"""Lines from files or stdin, results to files or stdout."""

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
    """Yield the lines of files, or of stdin without paths or for `-`; only `column`, if given."""
    from tokenizer.text import read_filter_column, read_filter_lines

    for path in paths or ["-"]:
        if column is None:
            yield from read_filter_lines(path, counts)
        else:
            yield from read_filter_column(path, column, counts)


def piped_text() -> str:
    """Read all of stdin; return "" if it is a terminal or closed."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", errors="replace")


class Writer:
    """Writer of text to a stream, as UTF-8 in any locale, flushed at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """Write a line."""
        self.piece(f"{text}\n")

    def piece(self, text: str) -> None:
        """Write a piece of a line."""
        self._stream.write(text.encode("utf-8", errors="replace"))
        self._stream.flush()


@contextmanager
def output(path: Path | None, *, reading: Sequence[str] | None = None) -> Iterator[Writer]:
    """Open the file for results, or stdout; raise FileExistsError for a file that is read."""
    read = [Path(name) for name in reading or [] if name != "-" and Path(name).exists()]
    if path is not None and path.exists() and any(map(path.samefile, read)):
        raise FileExistsError(
            errno.EEXIST, "is an input file; choose another output file", str(path)
        )
    if path is None:
        yield Writer(sys.stdout.buffer)
    else:
        with path.open("wb") as stream:
            yield Writer(stream)
