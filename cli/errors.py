"""Errors as one line on stderr and an exit code."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import typer

from .console import print_notice, printable
from .interrupts import INTERRUPTED, exit_on_interrupt, raise_on_interrupt

MAX_MESSAGE_CHARACTERS = 400
FAILURE, USAGE, UNLOADABLE, BAD_DATA = 1, 2, 3, 4


def exit_code(error: BaseException) -> int | None:
    """Return the exit code of a user error; None for any other, which is a bug.

    Each package's error classes have an `exit_code`: see its errors.py.
    """
    code: int | None = getattr(error, "exit_code", None)
    return UNLOADABLE if code is None and isinstance(error, OSError) else code


class _NullStream(io.BytesIO):
    """A stream that is empty and discards all writes."""

    def write(self, data: Any) -> int:
        """Discard the data."""
        return len(data)


class _ClosedStream(io.BytesIO):
    """A stdout that the parent process has closed: what is written there would be lost."""

    def write(self, data: Any) -> int:
        """Raise OSError."""
        del data
        raise OSError(errno.EBADF, "is closed; open it, or name a file with -o", "stdout")


def guard(program: Callable[[], None]) -> NoReturn:
    """Run the program; turn the exception that ends it into one line and an exit code."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process
            stream = _ClosedStream() if name == "stdout" else _NullStream()
            setattr(sys, name, io.TextIOWrapper(stream, encoding="utf-8"))
    code = INTERRUPTED
    with suppress(KeyboardInterrupt):  # another one, while the first is told
        code = _run(program)
    exit_process(code)


def _run(program: Callable[[], None]) -> int:
    """Run the program and return its exit code, after printing its error."""
    code = 0
    try:
        try:
            raise_on_interrupt()
            program()
        except typer.Exit as stop:
            code = stop.exit_code
        _flush_stdout()
    except BrokenPipeError:  # the reader has closed the pipe, as in `| head`
        return code
    except KeyboardInterrupt as error:
        exit_on_interrupt()
        print_notice(_with_notes("interrupted", error))
        return INTERRUPTED
    except Exception as error:
        report = _report_usage_error if hasattr(error, "format_message") else _report_error
        return report(error)
    return code


def _flush_stdout() -> None:
    """Write what is left; name stdout in an error, as of a full disk."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.filename is None:
            error.filename = "stdout"
        raise


def _report_usage_error(error: Exception) -> int:
    """Print an error in the command line, and where its options are told."""
    message = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "transduce"
    print_notice(f"{' '.join(message.split())} (see {path} --help)")
    return USAGE


def _report_error(error: Exception) -> int:
    """Print any other error and return its exit code."""
    if os.environ.get("TRANSDUCE_DEBUG"):
        traceback.print_exc()
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        text = f"no space left to write to{f': {error.filename}' if error.filename else ''}"
        print_notice(_with_notes(text, error))
        return FAILURE
    if isinstance(error, UnicodeEncodeError) and (name := _undecodable_argument(error.object)):
        print_notice(_with_notes(f"a name is not UTF-8: {name!r}; rename it, or link to it", error))
        return UNLOADABLE
    code = exit_code(error)
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or str(error)
        print_notice(_with_notes(f"{error.filename}: {reason[:1].lower()}{reason[1:]}", error))
    elif code is not None:
        print_notice(_with_notes(str(error), error))
    else:
        text = _single_line(str(error))[:300]
        text = f"unexpected {type(error).__name__}: {text} (--debug shows where)"
        print_notice(_with_notes(text, error))
    return FAILURE if code is None else code


def _with_notes(message: str, error: BaseException) -> str:
    """Return a message as one line, with the notes of its error, such as an incomplete output."""
    return "; ".join(_single_line(text) for text in [message, *getattr(error, "__notes__", ())])


def _undecodable_argument(text: str) -> str | None:
    """Return the argument of the program that is not UTF-8 and comes up in a text, if any.

    Names of files may be of any bytes, but not where they are written as text.
    """
    for argument in sys.argv[1:]:
        name = argument.rpartition("=")[2]
        is_undecodable = any("\udc80" <= character <= "\udcff" for character in name)
        if is_undecodable and (name in text or text in name):
            return name
    return None


def _single_line(text: str) -> str:
    """Return the text as one short line, with control characters escaped.

    Names in files may hold anything.
    """
    words = " ".join(_truncate_middle(text, 10 * MAX_MESSAGE_CHARACTERS).split())
    return _truncate_middle(printable(words), MAX_MESSAGE_CHARACTERS)


def _truncate_middle(text: str, limit: int) -> str:
    """Drop the middle of a long text, for names in files may be of any length."""
    return text if len(text) <= limit else f"{text[: limit * 2 // 3]} … {text[-limit // 3 :]}"


def exit_process(code: int) -> NoReturn:
    """Exit at once: threads of libraries would keep an interrupted program alive."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
