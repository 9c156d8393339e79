"""A lock on a run's folder: one process at a time trains there."""

import errno
import fcntl
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from checkpoints import errors_of_writing

from ..errors import BusyError
from ..folder_layout import LOCK

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_TRIES, _PAUSE = 5, 0.02  # seconds between tries


class RunLock:
    """A context manager that holds the lock of a run's folder, which it creates.

    The operating system releases the lock of a process that ends, however it ends. Raises
    BusyError, which names the holder, if another run holds it.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._file: TextIO | None = None
        self.is_supported = True  # False: the file system has no locks

    def __enter__(self) -> "RunLock":
        self._run.mkdir(parents=True, exist_ok=True)
        file = (self._run / LOCK).open("a+", encoding="utf-8")
        try:
            _take(file)
        except OSError as error:
            holder = _read_holder(file)
            file.close()
            if error.errno in _NO_LOCKS:
                self.is_supported = False
                return self
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            raise BusyError(
                f"{self._run} is being trained by {holder}: wait for its end, stop it, or choose "
                "another folder with -o"
            ) from None
        try:
            with errors_of_writing(self._run / LOCK):
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()} since {_now()}\n")
                file.flush()
        except OSError:
            with suppress(OSError):  # closing writes once more
                file.close()
            raise
        self._file = file
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()


def _take(file: TextIO) -> None:
    """Lock a file, again for a moment: a list of runs tries locks, too. Raises OSError."""
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not left:
                raise
            time.sleep(_PAUSE)
        else:
            break


def _read_holder(file: TextIO) -> str:
    file.seek(0)
    text = file.read(1000).strip()
    return text if text.startswith("process ") and text.isprintable() else "another process"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
