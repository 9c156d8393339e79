"""Results to files or stdout: looked at before the work, written where they stand."""

import bz2
import errno
import gzip
import lzma
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

STDOUT = Path("-")
_DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


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


def check_files(out: Path | None, reading: Sequence[str] | None) -> None:
    """Raise OSError for files that cannot be read or written, before any work is done.

    An output that is one of the inputs is refused under any of its names. None are read for
    commands without input; `-` is stdin, or stdout.
    """
    inputs = [_state_of_input(name) for name in reading or []]
    if out is None or out == STDOUT:
        target = _state(1)
    elif (descriptor := _descriptor(out)) is not None:
        try:
            target = os.fstat(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(out)) from None
    else:
        target = _state_of_output(out)
    if target is None or not stat.S_ISREG(target.st_mode):
        return
    if any(each is not None and os.path.samestat(each, target) for each in inputs):
        raise FileExistsError(
            errno.EEXIST, "is an input file; choose another output file", str(out or "stdout")
        )


def check_folder(out: Path) -> None:
    """Raise OSError for a name that stands for stdout where a folder is to be written."""
    if out == STDOUT or _descriptor(out) is not None:
        reason = "is stdout, which cannot hold a folder; name a folder"
        raise NotADirectoryError(errno.ENOTDIR, reason, str(out))


def _state(descriptor: int) -> os.stat_result | None:
    """Return the state of stdin or stdout; None where they are no files of the system."""
    with suppress(OSError, ValueError, AttributeError):
        return os.fstat((sys.stdin, sys.stdout)[descriptor].fileno())
    return None


def _state_of_input(name: str) -> os.stat_result | None:
    if name == "-":
        return _state(0)
    state = Path(name).stat()
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not os.access(name, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return state


def _state_of_output(path: Path) -> os.stat_result | None:
    """Return the state of a file to write, None for a new one. Raises OSError if it cannot be."""
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file to write", str(path))
    if not folder.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "no such file or directory; make the folder to write in first", str(path)
        )
    exists = path.exists()
    if not os.access(path if exists else folder, os.W_OK):
        raise PermissionError(errno.EACCES, "cannot be written: permission denied", str(path))
    return path.stat() if exists else None


def _descriptor(path: Path) -> int | None:
    """Return the number of an open file that a path such as /dev/stdout means, through links."""
    name = os.path.abspath(path)  # noqa: PTH100 (resolve would follow the last link, too)
    for _ in range(8):
        if name in _DESCRIPTORS:
            return _DESCRIPTORS[name]
        if match := re.fullmatch(rf"(?:/dev/fd|/proc/(?:self|{os.getpid()})/fd)/(\d+)", name):
            return int(match[1])
        if not Path(name).is_symlink():
            break
        name = os.path.normpath(Path(name).parent / Path(name).readlink())
    return None


def is_file_name(path: Path) -> bool:
    """Return True for the name of a file on disk, or a new one; False for stdout and devices."""
    if path == STDOUT or _descriptor(path) is not None:
        return False
    return path.is_file() or not path.exists()


@contextmanager
def output(path: Path | None, *, reading: Sequence[str] | None = None) -> Iterator[Writer]:
    """Open the file for results, or stdout; raise what `check_files` does.

    What is open already, such as /dev/stdout or the file that stdout goes to, is written where it
    stands. Names that end in .gz, .bz2 or .xz are packed.
    """
    check_files(path, reading)
    if path is None or path == STDOUT:
        yield Writer(sys.stdout.buffer)
        return
    descriptor = _descriptor(path)
    standing = _state(1)
    if descriptor == 1 or (
        standing is not None and path.is_file() and os.path.samestat(standing, path.stat())
    ):
        yield Writer(sys.stdout.buffer)
    elif descriptor is not None:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            yield Writer(stream)
    elif path.suffix in _PACKED and is_file_name(path):
        with _PACKED[path.suffix](path, "wb") as packed:
            yield Writer(packed, flush=False)
    else:
        with path.open("wb") as stream:
            yield Writer(stream)
