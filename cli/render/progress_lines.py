"""Progress of training in lines, where there is no terminal to draw it on."""

import time
from collections.abc import Callable
from threading import Event as Flag
from threading import Lock, Thread
from types import TracebackType

from .progress_view import ProgressView

_FIRST_LINE, _MAX_INTERVAL = 10.0, 600.0  # seconds between lines
_PAUSE = 1.0  # seconds between two looks at the clock


class LineTimer:
    """A timer of progress in lines: a first one soon, then each after twice the time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self.restart()

    def restart(self) -> None:
        """Begin anew: the first line is due soon."""
        with self._lock:
            self._began, self._next = self._clock(), _FIRST_LINE

    def is_due(self) -> bool:
        """Return True if a line is due; the next then is after twice the time, or 10 minutes."""
        with self._lock:
            elapsed = self._clock() - self._began
            if elapsed < self._next:
                return False
            self._next = elapsed + min(elapsed, _MAX_INTERVAL)
            return True


class LineReporter:
    """Lines of progress from a thread of its own: they come also while no event does.

    Each part of the work, such as a validation, has a first line soon; steps all together have one
    timer. `print_line` must be safe to call from several threads.
    """

    def __init__(
        self,
        view: ProgressView,
        print_line: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._view, self._print_line = view, print_line
        self._of_steps, self._of_stages = LineTimer(clock), LineTimer(clock)
        self._stage, self._has_started = view.stage, False
        self._done = Flag()
        self._thread = Thread(target=self._watch, daemon=True)

    def report(self) -> None:
        """Print a line if one is due."""
        view = self._view
        if view.started is not None and not self._has_started:
            self._has_started = True
            self._of_steps.restart()
        if view.stage != self._stage:
            self._stage = view.stage
            self._of_stages.restart()
        timer = self._of_steps if view.stage is None else self._of_stages
        if timer.is_due():
            self._print_line(progress_line(view))

    def _watch(self) -> None:
        while not self._done.wait(_PAUSE):
            self.report()

    def __enter__(self) -> "LineReporter":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()


def progress_line(view: ProgressView) -> str:
    """Return step, times and figures of a run, as far as there are any, in one line."""
    status = ", ".join(view.status())
    if view.report is None:
        return status
    return (
        f"{status}: loss {view.loss:.3f}, {view.units_per_second:,.0f} {view.unit}s/s, "
        f"learning rate {view.report.learning_rate:.2e}"
    )
