"""Progress of training: live on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from rich.text import Text

from tokenizer.quantities import format_count
from transformer.durations import format_duration
from transformer.training.events import (
    Choice,
    DataPrepared,
    Event,
    Notice,
    Remark,
    RunFinished,
    RunStarted,
    Stage,
    Validated,
)
from transformer.training.trainer import SkippedStep

from ..console import erase_status, is_terminal, print_notice, printable
from .data_report import data_lines, loss_lines
from .live_console import LiveConsole, LiveView, stderr_console
from .progress_lines import LineReporter
from .progress_view import ProgressView, format_validation


def follow_run(
    events: Iterator[Event],
    *,
    quiet: bool,
    on_start: Callable[[], None],
    console: LiveConsole | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> RunFinished | None:
    """Run training and show it; return the event that ends it.

    `on_start` is called once the run has started. `quiet` shows only what was lost, changed or
    ignored. The view is drawn on `console`; None: on stderr, if it is a terminal.
    """
    view, finished = ProgressView(clock), None
    if console is None and is_terminal():
        console = stderr_console()
    with _Screen(view, None if quiet else console) as screen, ExitStack() as stack:
        reporter = LineReporter(view, screen.print_line, clock)
        if in_lines := not (quiet or screen.is_live):
            stack.enter_context(reporter)
        for event in events:
            view.update(event)
            if isinstance(event, RunStarted):
                on_start()
            if isinstance(event, RunFinished):
                screen.close()
                finished = event
            for text in _losses(event) if quiet else _event_lines(event, live=screen.is_live):
                screen.print_line(text)
            if in_lines and finished is None:
                reporter.report()
    return finished


class _Screen:
    """The view on a console, with lines that stay above it; without a console, lines alone."""

    def __init__(self, view: ProgressView, console: LiveConsole | None) -> None:
        self._console = console
        self._live = None if console is None else LiveView(view, console)

    @property
    def is_live(self) -> bool:
        """True if the view is drawn, or was."""
        return self._live is not None

    def print_line(self, text: str) -> None:
        """Print a line above the view; below it, once it is closed."""
        if self._console is None:
            print_notice(text)
        else:
            self._console.print(Text(printable(text)), highlight=False)

    def close(self) -> None:
        """Draw the view for the last time; it stays."""
        if self._live is not None:
            self._live.stop()

    def __enter__(self) -> "_Screen":
        erase_status()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _event_lines(event: Event, *, live: bool) -> list[str]:
    """Return an event's lines for the user, less those that the view has."""
    if isinstance(event, DataPrepared):
        return data_lines(event)
    if live and isinstance(event, Stage):
        return []
    line = _LINES.get(type(event))
    return [] if line is None else [line(event)]


def _losses(event: Event) -> list[str]:
    """Return the lines about what was lost, changed or ignored."""
    if isinstance(event, DataPrepared):
        return loss_lines(event)
    return [_LINES[type(event)](event)] if isinstance(event, Notice | SkippedStep) else []


def _started_line(event: RunStarted) -> str:
    parameters = format_count(event.parameters, "parameter")
    if event.trained is not None:
        parameters = f"trains {event.trained:,} of {parameters} ({_share(event)})"
    batches = format_count(event.batches_per_epoch, "batch", "batches")
    # steps of a time are an estimate, which was told before and is corrected on the way
    steps = "" if event.is_timed else f"{format_count(event.steps, 'step')}, "
    return f"{parameters} on {event.device}; {steps}{batches} an epoch"


def _share(event: RunStarted) -> str:
    """Return the share of the parameters that are trained, with three digits or fewer."""
    return f"{100 * (event.trained or 0) / event.parameters:.3g}%"


def _skipped_line(event: SkippedStep) -> str:
    return (
        f"step {event.step:,} was skipped: its loss is {event.loss}, the gradient's norm "
        f"{event.gradient_norm}; it has {event.batches}"
    )


def _finished_line(event: RunFinished) -> str:
    skipped = f" (skipped: {event.skipped:,})" if event.skipped else ""
    since = f" since step {event.resumed_at:,}" if event.resumed_at else ""
    time_taken = format_duration(event.seconds)
    return f"{event.reason} at step {event.step:,}{skipped}, in {time_taken}{since}"


_LINES: dict[type[Event], Callable[[Any], str]] = {
    Stage: lambda event: event.text,
    Remark: lambda event: event.text,
    Notice: lambda event: event.text,
    Choice: lambda event: event.text,
    RunStarted: _started_line,
    SkippedStep: _skipped_line,
    Validated: lambda event: (
        f"validation at {format_validation(event)}{' (best)' if event.best else ''}"
    ),
    RunFinished: _finished_line,
}
