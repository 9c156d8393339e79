"""Progress of training: live on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from transformer.training.events import (
    DataPrepared,
    Event,
    Notice,
    RunFinished,
    RunStarted,
    Stage,
    Validated,
)
from transformer.training.trainer import SkippedStep, StepReport

from ..console import is_terminal, print_notice
from .data_report import data_lines, loss_lines

_LINE_EVERY = 100  # steps between two lines where there is no terminal
_SMOOTHING = 0.95  # of the moving averages of loss and speed


class ProgressView:
    """The state of a run from its events, drawn by rich."""

    def __init__(self) -> None:
        self.started: RunStarted | None = None
        self.step: StepReport | None = None
        self.validated: Validated | None = None
        self.best: Validated | None = None
        self.skipped = 0
        self.loss = 0.0
        self.tokens_per_second = 0.0
        self.started_at = time.monotonic()

    def update(self, event: Event) -> None:
        """Update the state from an event."""
        if isinstance(event, RunStarted):
            self.started, self.started_at = event, time.monotonic()
        elif isinstance(event, StepReport):
            old = 0.0 if self.step is None else _SMOOTHING
            rate = event.tokens / event.seconds
            self.loss = old * self.loss + (1 - old) * event.loss
            self.tokens_per_second = old * self.tokens_per_second + (1 - old) * rate
            self.step = event
        elif isinstance(event, SkippedStep):
            self.skipped += 1
        elif isinstance(event, Validated):
            self.validated = event
            self.best = event if event.best else self.best

    def seconds_left(self) -> float | None:
        """Estimate the remaining time from the pace so far, validations included."""
        if self.started is None or self.step is None:
            return None
        done = self.step.step - self.started.steps_done
        return (time.monotonic() - self.started_at) / done * (self.started.steps - self.step.step)

    def __rich__(self) -> RenderableType:
        if self.started is None or self.step is None:
            return Text("preparing …")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold")
        grid.add_column(overflow="fold")
        steps = f"{self.step.step:,} of {self.started.steps:,}"
        grid.add_row("step", f"{steps}, {format_duration(self.seconds_left())} left")
        if self.skipped:
            grid.add_row("skipped", f"{self.skipped:,} steps without finite numbers")
        grid.add_row("loss", f"{self.loss:.3f}")
        grid.add_row("tokens/s", f"{self.tokens_per_second:,.0f}")
        grid.add_row("learning rate", f"{self.step.learning_rate:.2e}")
        if self.validated is not None:
            grid.add_row("validation", format_validation(self.validated))
        if self.best is not None and self.best is not self.validated:
            grid.add_row("best", format_validation(self.best))
        for label, text in self.validated.sample if self.validated is not None else []:
            grid.add_row(label, Text(text[:400]))
        bar = ProgressBar(total=self.started.steps, completed=self.step.step)
        return Group(bar, grid)


def format_duration(seconds: float | None) -> str:
    """Format seconds as [hours:]minutes:seconds.

    >>> format_duration(3725)
    '1:02:05'
    """
    if seconds is None:
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def format_validation(validation: Validated) -> str:
    """Format a validation as one line."""
    scores = "".join(f", {s.name} {s.value:.2f}" for s in validation.scores.values())
    loss = f"loss {validation.loss:.4f}, perplexity {validation.perplexity:.2f}"
    return f"step {validation.step:,}: {loss}{scores}"


def follow_run(events: Iterator[Event], *, quiet: bool, on_start: Callable[[], None]) -> bool:
    """Run training to its end and show it; return True if it was interrupted.

    `on_start` is called once the run has started. `quiet` shows only what was lost, changed or
    ignored.
    """
    view, interrupted = ProgressView(), False
    live = is_terminal() and not quiet
    with _Screen(view, live) as print_line:
        for event in events:
            view.update(event)
            if isinstance(event, RunStarted):
                on_start()
            for text in _losses(event) if quiet else _event_lines(event, view, live):
                print_line(text)
            interrupted = interrupted or (isinstance(event, RunFinished) and event.interrupted)
    return interrupted


class _Screen:
    """A context manager that draws the view, and gives a function to print lines above it."""

    def __init__(self, view: ProgressView, live: bool) -> None:
        console = Console(stderr=True)
        self._live = Live(view, console=console, refresh_per_second=4) if live else None
        self._console = console

    def __enter__(self) -> Callable[[str], None]:
        if self._live is None:
            return print_notice
        self._live.start()
        return lambda text: self._console.print(text, markup=False, highlight=False)

    def __exit__(self, *reason: object) -> None:
        if self._live is not None:
            self._live.stop()


def _event_lines(event: Event, view: ProgressView, live: bool) -> list[str]:
    """Return an event's lines for the user."""
    if isinstance(event, StepReport):
        return [] if live or event.step % _LINE_EVERY else [_step_line(event, view)]
    if isinstance(event, DataPrepared):
        return data_lines(event)
    line = _LINES.get(type(event))
    return [] if line is None else [line(event)]


def _losses(event: Event) -> list[str]:
    """Return the lines about what was lost, changed or ignored."""
    if isinstance(event, DataPrepared):
        return loss_lines(event)
    return [_LINES[type(event)](event)] if isinstance(event, Notice | SkippedStep) else []


def _step_line(event: StepReport, view: ProgressView) -> str:
    return (
        f"step {event.step:,}: loss {view.loss:.3f}, {view.tokens_per_second:,.0f} tokens/s, "
        f"learning rate {event.learning_rate:.2e}, {format_duration(view.seconds_left())} left"
    )


def _started_line(event: RunStarted) -> str:
    return (
        f"{event.parameters:,} parameters on {event.device}; {event.steps:,} steps, "
        f"{event.batches_per_epoch:,} batches an epoch"
    )


def _skipped_line(event: SkippedStep) -> str:
    return (
        f"step {event.step:,} was skipped: its loss is {event.loss}, the gradient's norm "
        f"{event.gradient_norm}; it has {event.batches}"
    )


def _finished_line(event: RunFinished) -> str:
    skipped = f" (skipped: {event.skipped:,})" if event.skipped else ""
    return f"{event.reason} at step {event.step:,}{skipped}"


_LINES: dict[type[Event], Callable[[Any], str]] = {
    Stage: lambda event: event.text,
    Notice: lambda event: event.text,
    RunStarted: _started_line,
    SkippedStep: _skipped_line,
    Validated: lambda event: (
        f"validation at {format_validation(event)}{' (best)' if event.best else ''}"
    ),
    RunFinished: _finished_line,
}
