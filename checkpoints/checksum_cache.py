"""A cache of SHA-256 checksums of large files, so that unchanged files are not read again.

It is a text file in the user's cache folder. Each line is the SHA-256 hash of an entry: the path,
the state of the file and its verified checksum. A line that is damaged, truncated or forged equals
no entry, so the worst that it can cause is that a file is read again. The rule for recently changed
files is that of git's index ("racily clean").
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

CACHE_NAME = "checked-files"
MAX_ENTRIES = 1000  # 65 kB; the oldest are dropped first
MIN_CACHED_BYTES = 1 << 20  # less is read in 1 ms, as fast as an entry is looked up

# A file must be older than the resolution of its file system's clock (FAT: 2 s): it could change
# again without changing its times.
MIN_AGE_NS = 3_000_000_000

_LINE_BYTES = 2 * hashlib.sha256().digest_size + 1  # bytes
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_TOLERATED = (OSError, RuntimeError)  # no room, no permission; unknown home folder


class FileState(NamedTuple):
    """The size, times and identity of a file, one of which changes whenever its contents do."""

    size: int
    mtime_ns: int
    ctime_ns: int  # which os.utime and `touch` cannot set
    device: int
    inode: int


def matches_checksum(path: Path, sha256: str, *, trust_cache: bool) -> bool:
    """Return True if a file has the expected checksum.

    If the cache is trusted and has the file in its present state, the file is not read. A match is
    added to the cache, a mismatch removed. Raises OSError for a file that cannot be read, and
    nothing for problems with the cache.
    """
    now = time_ns()
    with path.open("rb") as stream:
        before = _state_of(stream)
        if before.size < MIN_CACHED_BYTES:
            return sha256_hex(stream) == sha256
        entry = _entry_of(path, before, sha256)
        if trust_cache and entry in _read_entries():
            return True
        matches = sha256_hex(stream) == sha256
        after = _state_of(stream)
    settled = max(before.mtime_ns, before.ctime_ns) + MIN_AGE_NS <= now
    if not matches:
        _discard(entry)
    elif settled and after == before:
        _add(entry)
    return matches


def cache_file(name: str = CACHE_NAME) -> Path:
    """Return the path of a file of the cache: in $XDG_CACHE_HOME or else ~/.cache.

    Raises RuntimeError if the home folder is unknown.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the XDG rules: absolute, or ignored
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base / "transduce" / name


def sha256_hex(stream: BufferedReader) -> str:
    """Return the SHA-256 checksum of a file opened for reading, in hexadecimal digits."""
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _state_of(stream: BufferedReader) -> FileState:
    """Return the state of an open file: opening makes network file systems ask their server."""
    status = os.fstat(stream.fileno())
    return FileState(
        status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino
    )


def _entry_of(path: Path, state: FileState, sha256: str) -> bytes:
    text = json.dumps([os.path.realpath(path), *state, sha256])
    return hashlib.sha256(text.encode()).hexdigest().encode()


def _add(entry: bytes) -> None:
    entries = _read_entries()
    if entry not in entries:
        _write_entries([*entries, entry])


def _discard(entry: bytes) -> None:
    entries = _read_entries()
    if entry in entries:
        _write_entries([other for other in entries if other != entry])


def _read_entries() -> list[bytes]:
    """Read all entries, oldest first; none if another user could have written the file."""
    with suppress(*_TOLERATED), open(cache_file(), "rb", opener=_open_nonblocking) as stream:
        status = os.fstat(stream.fileno())
        trusted = status.st_uid == os.geteuid() and not status.st_mode & _WRITABLE_BY_OTHERS
        if trusted and stat.S_ISREG(status.st_mode):
            lines = stream.read(MAX_ENTRIES * _LINE_BYTES).split(b"\n")
            return [line for line in lines if len(line) == _LINE_BYTES - 1]
    return []


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # opening a pipe would wait for its writer


def _write_entries(entries: Sequence[bytes]) -> None:
    """Replace the cache file atomically, or do nothing if it cannot be written.

    Nothing is flushed to disk: a crash may lose the cache.
    """
    with suppress(*_TOLERATED):
        path = cache_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{CACHE_NAME}.", suffix=".tmp"
        )
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.writelines(entry + b"\n" for entry in entries[-MAX_ENTRIES:])
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
