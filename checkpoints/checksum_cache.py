"""SHA-256 sums of large files, checked once for each state of a file.

The user's cache folder remembers which: a text file, each line of which is the SHA-256 sum of an
entry: path, state and the sum that was right. A line that is damaged, torn or made up equals no
entry, so the worst that comes of it is that a file is summed again. The rule for young files is
that of git's index ("racily clean").
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from time import time_ns
from typing import NamedTuple

NAME = "checked-files"
MAX_ENTRIES = 1000  # 65 kB; those added first are forgotten first
SMALL = 1 << 20  # bytes; fewer are summed in a millisecond, as fast as an entry is found

# A file must be older than its file system's clock is coarse (FAT: 2 s), or it could change once
# more without showing it.
YOUNG_NS = 3_000_000_000

_LINE = 2 * hashlib.sha256().digest_size + 1  # bytes
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_EXPECTED = (OSError, RuntimeError)  # no room, no permission; nobody knows the home folder


class FileState(NamedTuple):
    """Size, times and identity of a file, one of which changes whenever its contents do."""

    size: int
    mtime_ns: int
    ctime_ns: int  # which os.utime and `touch` cannot set
    device: int
    inode: int


def matches_sum(path: Path, sha256: str, *, trust_cache: bool) -> bool:
    """Compare a file's sum with the one expected; where the cache is trusted and knows the file's
    state, without reading it.

    A sum that is right is remembered, one that is wrong is forgotten. Raises OSError for a file
    that cannot be read, and nothing for whatever is wrong with the cache.
    """
    now = time_ns()
    with path.open("rb") as stream:
        before = _state(stream)
        if before.size < SMALL:
            return _digest(stream) == sha256
        entry = _entry(path, before, sha256)
        if trust_cache and entry in _read():
            return True
        right = _digest(stream) == sha256
        after = _state(stream)
    old = max(before.mtime_ns, before.ctime_ns) + YOUNG_NS <= now
    if not right:
        _forget(entry)
    elif old and after == before:
        _remember(entry)
    return right


def cache_file() -> Path:
    """Find the place of the cache: in $XDG_CACHE_HOME, else in ~/.cache. Raises RuntimeError where
    neither is known."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))  # a relative one is to be ignored
    return (given if given.is_absolute() else Path.home() / ".cache") / "transduce" / NAME


def _digest(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _state(stream: BufferedReader) -> FileState:
    """Read the state of an open file: opening makes network file systems ask their server."""
    found = os.fstat(stream.fileno())
    return FileState(
        found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino
    )


def _entry(path: Path, state: FileState, sha256: str) -> bytes:
    text = json.dumps([os.path.realpath(path), *state, sha256])
    return hashlib.sha256(text.encode()).hexdigest().encode()


def _remember(entry: bytes) -> None:
    entries = _read()
    if entry not in entries:
        _write([*entries, entry])


def _forget(entry: bytes) -> None:
    entries = _read()
    if entry in entries:
        _write([each for each in entries if each != entry])


def _read() -> list[bytes]:
    """Read all entries, the oldest first; none where somebody else may have written them."""
    with suppress(*_EXPECTED), open(cache_file(), "rb", opener=_open_at_once) as stream:
        found = os.fstat(stream.fileno())
        own = found.st_uid == os.geteuid() and not found.st_mode & _OTHERS_WRITE
        if own and stat.S_ISREG(found.st_mode):
            lines = stream.read(MAX_ENTRIES * _LINE).split(b"\n")
            return [line for line in lines if len(line) == _LINE - 1]
    return []


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would wait for its writer


def _write(entries: Sequence[bytes]) -> None:
    """Replace the cache file at once, if that can be done. A crash may lose it, so no flushing."""
    with suppress(*_EXPECTED):
        path = cache_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{NAME}.", suffix=".tmp")
        fresh = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.writelines(entry + b"\n" for entry in entries[-MAX_ENTRIES:])
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
