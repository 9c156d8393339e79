"""Notices to the user on stderr."""

import os
import sys
from contextlib import suppress


def say(text: str) -> None:
    """One line on stderr. A stderr that cannot be written to is no reason to stop."""
    with suppress(OSError):
        sys.stderr.write(f"transduce: {text}\n")
        sys.stderr.flush()


def is_terminal() -> bool:
    """Whether progress may be drawn."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
