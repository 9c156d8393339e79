"""Talking to the user on stderr: errors as one line and an exit code, notices, progress."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import typer

from .console import say

MAX_MESSAGE_CHARACTERS = 400  # characters of an error
FAILURE, USAGE, UNLOADABLE, BAD_DATA, INTERRUPTED = 1, 2, 3, 4, 130


def exit_code(error: BaseException) -> int | None:
    """Return the exit code of a mistake that is the user's; None for a mistake of ours.

    Each package's errors carry theirs, see its errors.py.
    """
    code: int | None = getattr(error, "exit_code", None)
    return UNLOADABLE if code is None and isinstance(error, OSError) else code


class _NullStream(io.BytesIO):
    """Holds nothing, forgets what is written."""

    def write(self, data: Any) -> int:
        """Forget it."""
        return len(data)


def guard(program: Callable[[], None]) -> NoReturn:
    """Run the program, and turn whatever ends it into one line and an exit code."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, io.TextIOWrapper(_NullStream(), encoding="utf-8"))
    exit_process(_run(program))


def _run(program: Callable[[], None]) -> int:
    try:
        program()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has had enough: `| head`
        return 0
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:
        return (
            _report_usage_error(error) if hasattr(error, "format_message") else _report_error(error)
        )
    return 0


def _report_usage_error(error: Exception) -> int:
    """A mistake in the command line, as the parser reports it; or the help that it stands for."""
    message = error.format_message()  # type: ignore[attr-defined]
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{message}\n")
        return USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "transduce"
    say(f"{' '.join(message.split())} (see {path} --help)")
    return USAGE


def _report_error(error: Exception) -> int:
    if os.environ.get("TRANSDUCE_DEBUG"):
        traceback.print_exc()
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        say(f"no space left to write to{f': {error.filename}' if error.filename else ''}")
        return FAILURE
    code = exit_code(error)
    if isinstance(error, OSError) and error.filename is not None:
        say(_single_line(f"{error.filename}: {(error.strerror or str(error)).lower()}"))
    elif code is not None:
        say(_single_line(str(error)))
    else:
        text = _single_line(str(error))[:300]
        say(f"unexpected {type(error).__name__}: {text} (--debug shows where)")
    return FAILURE if code is None else code


def _single_line(text: str) -> str:
    """One line of no more than a screenful, in which nothing draws, whatever a file's names are."""
    words = " ".join(_truncate_middle(text, 10 * MAX_MESSAGE_CHARACTERS).split())
    plain = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)
    return _truncate_middle("".join(plain), MAX_MESSAGE_CHARACTERS)


def _truncate_middle(text: str, limit: int) -> str:
    """Without its middle, for files choose how long their names are."""
    return text if len(text) <= limit else f"{text[: limit * 2 // 3]} … {text[-limit // 3 :]}"


def exit_process(code: int) -> NoReturn:
    """Leave at once: threads of the libraries would make an interrupted program linger."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
