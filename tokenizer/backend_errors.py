"""Errors and panics of the `tokenizers` library as errors of this package."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from .errors import TokenizerError


class _BackendError(TokenizerError):
    """An error of the `tokenizers` library, with its reason."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason


stderr_lock = RLock()


@contextmanager
def file_errors(name: str) -> Iterator[None]:
    """Convert the library's errors about a file's contents to a TokenizerError that names the file.

    The library's panics are no Exceptions, and print a trace to the file descriptor of stderr.
    """
    with backend_errors(f"{name} is no usable tokenizer"), stderr_lock, discard_stderr():
        yield


@contextmanager
def backend_errors(what: str) -> Iterator[None]:
    """Convert the library's exceptions and panics to a TokenizerError that begins with `what`."""
    try:
        yield
    except _BackendError as error:
        raise _BackendError(what, error.reason) from None
    except TokenizerError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise _BackendError(what, _first_line(error)) from None


@contextmanager
def discard_stderr() -> Iterator[None]:
    """Redirect the process's stderr to the null device, also for code outside Python."""
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 2)
        os.close(devnull)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
