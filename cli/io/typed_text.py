"""Text that someone types at a terminal, with line editing and a history."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..console import print_notice

if TYPE_CHECKING:
    from tokenizer import CorpusCounts

HINT = "type lines; Ctrl-D ends"
_PROMPT = "> "


def is_typed(names: Sequence[str]) -> bool:
    """Return True if what is read is stdin, and that is a terminal."""
    return list(names) == ["-"] and sys.stdin is not None and sys.stdin.isatty()


def typed_texts(counts: "CorpusCounts", hint: str | None = HINT) -> Iterator[str]:
    """Yield the lines typed at the terminal, each once it is asked for; tell `hint` first.

    Where stdout is the terminal, too, lines can be edited, and fetched again by the arrow keys:
    the history is in memory alone.
    """
    from tokenizer.text.lines import decode_line

    if hint is not None:
        print_notice(hint)
    read = _edited if sys.stdout.isatty() and _has_editing() else _plain
    while (raw := read()) is not None:
        counts.lines += 1
        yield decode_line(raw, counts)


def _has_editing() -> bool:
    """Return True if lines can be edited; a tab is then a character like any other."""
    try:
        import readline
    except ImportError:  # of a Python without that library
        return False
    readline.parse_and_bind("tab: self-insert")
    with suppress(AttributeError, ValueError):
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    return True


def _edited() -> bytes | None:
    """Return a line that was edited; None at the end."""
    try:
        return os.fsencode(input(_PROMPT))
    except EOFError:
        sys.stdout.write("\n")
        sys.stdout.flush()
        return None
    except KeyboardInterrupt:
        sys.stdout.write("\n")
        raise


def _plain() -> bytes | None:
    """Return a line as the terminal itself lets it be edited; None at the end."""
    sys.stderr.write(_PROMPT)
    sys.stderr.flush()
    if raw := sys.stdin.buffer.readline():
        return raw.removesuffix(b"\n")
    sys.stderr.write("\n")
    return None
