"""Text that someone types at a terminal, with line editing and a history."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from ..console import print_notice

if TYPE_CHECKING:
    from tokenizer import CorpusCounts

    from .outputs import Writer

HINT = "type lines; Ctrl-D ends"
_PROMPT = "> "


def is_typed(names: Sequence[str]) -> bool:
    """Return True if what is read is stdin, and that is a terminal."""
    return list(names) == ["-"] and sys.stdin is not None and sys.stdin.isatty()


def typed_texts(
    counts: "CorpusCounts", hint: str | None = HINT, *, tabs: bool = False
) -> Iterator[str]:
    """Yield the lines typed at the terminal, each once it is asked for; tell `hint` first.

    Where stdout is the terminal, too, lines can be edited, and fetched again by the arrow keys:
    the history is in memory alone. With `tabs`, the tab key writes a tab, else it does nothing.
    Ctrl-C drops a line that is begun, as in a shell; without one, it raises KeyboardInterrupt.
    """
    from tokenizer.text.lines import decode_line

    if hint is not None:
        print_notice(hint)
    read = _edited if sys.stdout.isatty() and _has_editing(tabs=tabs) else _Plain().read
    while (raw := read()) is not None:
        for part in raw.split(b"\n"):  # of what was pasted at once
            counts.lines += 1
            yield decode_line(part, counts)


@contextmanager
def stopped_by_interrupt(writer: "Writer") -> Iterator[None]:
    """Let Ctrl-C stop the answer that is being written to what was typed, and nothing else."""
    try:
        yield
    except KeyboardInterrupt:
        writer.line("")


def _has_editing(*, tabs: bool) -> bool:
    """Return True if lines can be edited."""
    try:
        import readline
    except ImportError:  # of a Python without that library
        return False
    readline.parse_and_bind("tab: self-insert" if tabs else 'tab: ""')
    with suppress(AttributeError, ValueError):
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    return True


def _edited() -> bytes | None:
    """Return a line that was edited; None at the end."""
    import readline

    while True:
        try:
            return os.fsencode(input(_PROMPT))
        except EOFError:
            _end_line(sys.stdout)
            return None
        except KeyboardInterrupt:
            _end_line(sys.stdout)
            if not readline.get_line_buffer():
                raise


class _Plain:
    """Lines as the terminal itself lets them be edited; what is begun cannot be known."""

    def __init__(self) -> None:
        self._interrupted = False  # since the last line

    def read(self) -> bytes | None:
        """Return a line; None at the end. A second Ctrl-C raises KeyboardInterrupt."""
        while True:
            sys.stderr.write(_PROMPT)
            sys.stderr.flush()
            try:
                raw = sys.stdin.buffer.readline()
            except KeyboardInterrupt:
                _end_line(sys.stderr)
                if self._interrupted:
                    raise
                self._interrupted = True
                continue
            self._interrupted = False
            if raw:
                return raw.removesuffix(b"\n")
            _end_line(sys.stderr)
            return None


def _end_line(stream: TextIO) -> None:
    stream.write("\n")
    stream.flush()
