"""Results to files or stdout: looked at before the work, written where they stand."""

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from .output_checks import STDOUT, check_files, descriptor_of, packing_of, standard_state

if TYPE_CHECKING:
    from .arrays import ArrayWriter

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Writer:
    """Writer of text to a stream, as UTF-8 in any locale, flushed at once.

    `opened` returns the stream, whenever there is a piece to write.
    """

    def __init__(self, opened: Callable[[], BinaryIO], *, flush: bool = True) -> None:
        self._opened, self._flush = opened, flush

    def line(self, text: str) -> None:
        """Write a line."""
        self.piece(f"{text}\n")

    def piece(self, text: str) -> None:
        """Write a piece of a line."""
        stream = self._opened()
        stream.write(text.encode("utf-8", errors="replace"))
        if self._flush:
            stream.flush()


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
    """Give a writer of results to a file, or to stdout; raise what `check_files` does.

    What is open already, such as /dev/stdout or the file that stdout goes to, is written where it
    stands. Where the name ends as that of a packed file, it is packed. An error before the first
    result leaves a file as it was; one after it says that the file is incomplete.
    """
    check_files(path, reading)
    packing = None if path is None else packing_of(path)
    opening = _open_output(path) if packing is None else _open_packed(path, packing)
    with _opened_late(path, opening) as opened:
        yield Writer(opened, flush=packing is None)


@contextmanager
def array_output(
    path: Path, *, width: int, reading: Sequence[str | Path] = ()
) -> Iterator[Callable[[], "ArrayWriter"]]:
    """Give what opens the writer of rows of a matrix to a .npy file; raise what `check_files` does.

    However the work ends, the file is an array of the rows that were written; without any, an
    error leaves it as it was.
    """
    from .arrays import open_array

    check_files(path, reading, arrays=True)
    with _opened_late(path, open_array(path, width)) as opened:
        yield opened


_Opened = TypeVar("_Opened")


@contextmanager
def _opened_late(
    path: Path | None, opening: AbstractContextManager[_Opened]
) -> Iterator[Callable[[], _Opened]]:
    """Give what opens an output when it is first called, or at the end where it never was.

    An error after that says that the file is incomplete, and the one of a full disk names it.
    """
    stack = ExitStack()
    opened = cache(lambda: stack.enter_context(opening))
    try:
        with stack:
            yield opened
            opened()
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            error.filename = str(path or "stdout")
        if opened.cache_info().currsize and path is not None and is_file_name(path):
            error.add_note(f"{path} is incomplete")
        raise


@contextmanager
def _open_packed(path: Path | None, packing: str) -> Iterator[BinaryIO]:
    """Open a file whose bytes are packed."""
    from tokenizer.text.signatures import PACKINGS

    with _open_output(path) as stream, PACKINGS[packing].create(stream) as packed:
        yield packed


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
