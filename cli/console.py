"""Notices to the user on stderr.

With -q a command shows no progress and no summary. What was lost, changed or ignored is told all
the same, as are errors: whoever wants none of it has `2>/dev/null`.
"""

import os
import sys
from contextlib import suppress


def print_notice(text: str) -> None:
    """Print one line on stderr; ignore a stderr that cannot be written to."""
    with suppress(OSError):
        sys.stderr.write(f"transduce: {text}\n")
        sys.stderr.flush()


def is_terminal() -> bool:
    """Return True if progress can be drawn on stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
