"""Results to files or stdout: looked at before the work, written where they stand."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .output_checks import STDOUT, check_files, descriptor_of, packing_of, standard_state

if TYPE_CHECKING:
    from .arrays import ArrayWriter

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Writer:
    """Writer of text to a stream, as UTF-8 in any locale, flushed at once."""

    def __init__(self, stream: BinaryIO, *, flush: bool = True) -> None:
        self._stream, self._flush = stream, flush

    def line(self, text: str) -> None:
        """Write a line."""
        self.piece(f"{text}\n")

    def piece(self, text: str) -> None:
        """Write a piece of a line."""
        self._stream.write(text.encode("utf-8", errors="replace"))
        if self._flush:
            self._stream.flush()


def terminal_width() -> int | None:
    """Return the number of columns of the terminal that stdout is; None for a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def is_file_name(path: Path) -> bool:
    """Return True for the name of a file on disk, or a new one; False for stdout and devices."""
    if path == STDOUT or descriptor_of(path) is not None:
        return False
    return path.is_file() or not path.exists()


@contextmanager
def output(path: Path | None, *, reading: Sequence[str | Path] = ()) -> Iterator[Writer]:
    """Open the file for results, or stdout; raise what `check_files` does.

    What is open already, such as /dev/stdout or the file that stdout goes to, is written where it
    stands. Where the name ends as that of a packed file, it is packed. An error that ends the work
    says that the file is incomplete.
    """
    check_files(path, reading)
    packing = None if path is None else packing_of(path)
    with _naming_file(path), _open_output(path) as stream:
        if packing is None:
            yield Writer(stream)
            return
        from tokenizer.text.signatures import PACKINGS

        with PACKINGS[packing].create(stream) as packed:
            yield Writer(packed, flush=False)


@contextmanager
def array_output(
    path: Path, *, width: int, reading: Sequence[str | Path] = ()
) -> Iterator["ArrayWriter"]:
    """Open a .npy file for rows of a matrix; raise what `check_files` does.

    However the work ends, the file is an array of the rows that were written.
    """
    from .arrays import ArrayWriter

    check_files(path, reading, arrays=True)
    with _naming_file(path), path.open("wb") as stream:
        writer = ArrayWriter(stream, width)
        try:
            yield writer
        finally:
            writer.finish()


@contextmanager
def _naming_file(path: Path | None) -> Iterator[None]:
    """Add to an error that the file is incomplete; name it in that of a full disk."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            error.filename = str(path or "stdout")
        if path is not None and is_file_name(path) and path.exists():
            error.add_note(f"{path} is incomplete")
        raise


@contextmanager
def _open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file for its bytes, or take what is open."""
    if path is None or path == STDOUT:
        yield sys.stdout.buffer
        return
    descriptor, standing = descriptor_of(path), standard_state(1)
    if descriptor == 1 or (
        standing is not None and path.is_file() and os.path.samestat(standing, path.stat())
    ):
        yield sys.stdout.buffer
    elif descriptor is not None:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            yield stream
    else:
        with path.open("wb") as stream:
            yield stream
