"""Notices to the user on stderr.

With -q a command shows no progress and no summary. What was lost, changed or ignored is told all
the same, as are errors: whoever wants none of it has `2>/dev/null`.
"""

import os
import shutil
import sys
import unicodedata
from contextlib import suppress
from threading import RLock
from typing import TextIO

ARGUMENT_DESCRIPTOR = 97  # of the file with a text that was an argument; shells use 63 and below
ARGUMENT = f"/dev/fd/{ARGUMENT_DESCRIPTOR}"
_ERASE = "\r\x1b[K"  # the line on which the cursor is
_lock = RLock()  # a signal's handler may print while something is printed


class _Status:
    """The line at the bottom that tells how far a job is; it is there until something else is."""

    is_shown = False


def print_notice(text: str) -> None:
    """Print one line on stderr; ignore a stderr that cannot be written to."""
    text = text.replace(ARGUMENT, "the argument")
    with _lock:
        erase_status()
        _write(f"transduce: {text}\n")


def write_status(text: str) -> None:
    """Show a line at the bottom of the terminal, in the place of the last one, cut at its width."""
    with _lock:
        _write(f"{_ERASE}{_cut(text, terminal_width() - 1)}")
        _Status.is_shown = True


def _cut(text: str, columns: int) -> str:
    """Return the beginning of a text that takes so many columns, of which some characters take two.

    >>> _cut("模型 abc", 6)
    '模型 a'
    """
    for index, character in enumerate(text):
        columns -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if columns < 0:
            return text[:index]
    return text


def erase_status() -> None:
    """Erase the line at the bottom, if there is one."""
    with _lock:
        if _Status.is_shown:
            _write(_ERASE)
            _Status.is_shown = False


def _write(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


class LastingStderr:
    """The stderr of now, for a library to write to: what a closed terminal refuses is dropped.

    Without it, a closed terminal would end the work that the library draws the progress of.
    """

    def __init__(self) -> None:
        self._stream: TextIO = sys.stderr
        self.encoding = self._stream.encoding

    def write(self, text: str) -> int:
        """Write a text if that is possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Return True for a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._stream.fileno()


def is_terminal() -> bool:
    """Return True if progress can be drawn on stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def wants_plain_text() -> bool:
    """Return True if a terminal is to show no bold text and no colours."""
    return "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"


def progress_enabled(quiet: bool) -> bool:
    """Return True if a command may draw its progress on stderr."""
    return is_terminal() and not quiet


def terminal_width() -> int:
    """Return the number of columns of the terminal that stderr is."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    return 80


def printable(text: str) -> str:
    """Return a text whose control characters, line ends apart, are escaped.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def page_width() -> int:
    """Return the number of columns that a page of text on stdout may take, from 40 to 100."""
    return max(40, min(100, shutil.get_terminal_size((80, 24)).columns))
