"""A line on stderr that tells how far a job on many lines is, and one at its end."""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from transformer.durations import format_duration

from ..console import (
    erase_status,
    print_notice,
    progress_enabled,
    terminal_width,
    write_status,
)
from .output_checks import output_is_terminal, standard_state

if TYPE_CHECKING:
    from tokenizer import CorpusCounts

_WAIT = 2.0  # seconds before anything is shown
_EVERY = 0.5  # seconds between two drawings
Item = TypeVar("Item")


class LineProgress:
    """A context manager that counts lines, and shows how far they are at a terminal.

    Lines, share, time left and rate are shown after two seconds; a job that ends before is silent.
    `share` returns how much of the input has been read, from 0 to 1, or None where its size is not
    known; `total` is the number of lines, where that is. With `sums_up` a line at the end tells the
    number of lines, the time and the rate.
    """

    def __init__(
        self,
        *,
        enabled: bool,
        share: Callable[[], float | None] = lambda: None,
        total: int | None = None,
        unit: str = "line",
        sums_up: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._enabled, self._share, self._clock = enabled, share, clock
        self._total, self._unit = total, unit
        self._sums_up, self._label = sums_up, ""
        self.lines = 0  # that are done
        self._read = 0  # those that the share is of
        self._began = clock()
        self._ended, self._shown = Event(), False
        self._thread: Thread | None = None

    def reading(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, counting them as read: those that are not done yet are ahead."""
        for item in items:
            self._read += 1
            yield item

    def advance(self, lines: int = 1) -> None:
        """Count lines that are done."""
        self.lines += lines

    def counting(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, counting each as done once the next one is asked for."""
        for item in items:
            yield item
            self.lines += 1

    def before(self, items: Iterable[Item], label: str) -> Iterator[Item]:
        """Yield the items; show `label` after the last, and no share, for what is then done."""
        yield from items
        self._label, self._share = label, lambda: None

    def done(self) -> float | None:
        """Return the share of the job that is done; None where it is not known."""
        if self._total:
            return min(1.0, self.lines / self._total)
        if (share := self._share()) is None:
            return None
        ahead = max(self._read, self.lines)
        return min(1.0, share * (self.lines / ahead if ahead else 0.0))

    def text(self, width: int) -> str:
        """Return what is shown, with as many of its parts as there is room for."""
        elapsed, done = self._clock() - self._began, self.done()
        parts = [f"{self._label}{self._count()}"]
        if done is not None:
            parts.append(f"{done:.0%}")
        if done:
            parts.append(f"{format_duration(elapsed / done - elapsed)} left")
        if self.lines and not self._label:
            parts.append(self._rate(elapsed))
        parts.append(f"{format_duration(elapsed)} elapsed")
        shown = parts[0]
        for part in parts[1:]:
            longer = f"{shown} · {part}"
            if len(longer) >= width:  # the last column is left free
                break
            shown = longer
        return shown[: width - 1]

    def report(self, done: int, total: int) -> None:
        """Say how many are done, of how many."""
        self.lines, self._total = done, total

    def _rate(self, elapsed: float) -> str:
        return f"{format_rate(self.lines / max(elapsed, 1e-9))} {self._unit}s/s"

    def _count(self) -> str:
        return f"{self.lines:,} {self._unit}{'' if self.lines == 1 else 's'}"

    def summary(self) -> str:
        """Return what is told at the end."""
        elapsed = self._clock() - self._began
        return f"{self._count()} in {format_duration(elapsed)}, {self._rate(elapsed)}"

    def time_taken(self) -> str:
        """Return the time of a job as the end of a sentence; nothing for one of two seconds."""
        return f" in {format_duration(self._clock() - self._began)}" if self._shown else ""

    def __enter__(self) -> "LineProgress":
        if self._enabled:
            self._thread = Thread(target=self._draw, daemon=True)
            self._thread.start()
        return self

    def _draw(self) -> None:
        """Draw what is shown until the end: the body of the thread."""
        wait = _WAIT
        while not self._ended.wait(wait):
            self._shown = True
            write_status(self.text(terminal_width()))
            wait = _EVERY

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join()
        erase_status()
        if self._shown and self._sums_up and error is None:
            print_notice(self.summary())


def line_progress_enabled(quiet: bool, out: Path | None, reading: Sequence[str] = ()) -> bool:
    """Return True if progress may be drawn: at a terminal on which nothing is typed or written."""
    if not progress_enabled(quiet) or output_is_terminal(out):
        return False
    return not ("-" in reading and sys.stdin is not None and sys.stdin.isatty())


def input_share(paths: Sequence[str], counts: "CorpusCounts") -> Callable[[], float | None]:
    """Return a function that tells how much of regular files is read: bytes, as they are packed.

    It returns None where one of them is no regular file, such as a pipe. `counts` is their
    reader's.
    """
    states = [standard_state(0) if path == "-" else Path(path).stat() for path in paths]
    sizes = [s.st_size for s in states if s is not None and stat.S_ISREG(s.st_mode)]
    total = sum(sizes)
    if len(sizes) < len(paths) or not total:
        return lambda: None

    def share() -> float:
        if counts.stream is None:
            return 0.0
        before, size = sum(sizes[: counts.streams - 1]), sizes[counts.streams - 1]
        with suppress(OSError, ValueError):  # of a closed file, which is read to its end
            size = os.lseek(counts.stream.fileno(), 0, os.SEEK_CUR)  # another thread may read
        return min(1.0, (before + size) / total)

    return share


def format_rate(rate: float) -> str:
    """Format a number a second.

    >>> format_rate(0.25), format_rate(1234.5)
    ('0.25', '1,234')
    """
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
