"""The live view of a training run."""

import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tokenizer.quantities import format_count
from transformer.durations import format_duration
from transformer.training.events import (
    DataPrepared,
    Event,
    RunFinished,
    RunStarted,
    Saved,
    Stage,
    StepsChanged,
    Validated,
    Validating,
)
from transformer.training.trainer import SkippedStep, StepReport

from ..console import printable
from .pace import TrainingPace

_SMOOTHING = 0.95  # of the moving averages of loss and speed
_MAX_SAMPLE = 400  # characters


class ProgressView:
    """The state of a run from its events, drawn by rich.

    Step, epoch and times come first, in lines of their own: they are there at any width, and where
    the terminal has few lines, what comes last is left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.pace = TrainingPace(clock)
        self.started: RunStarted | None = None
        self.report: StepReport | None = None
        self.validated: Validated | None = None
        self.best: Validated | None = None
        self.skipped = self.step = 0
        self.loss = 0.0
        self.units_per_second = 0.0
        self.stage: Stage | None = Stage("starting")

    def update(self, event: Event) -> None:
        """Update the state from an event."""
        self.pace.update(event)
        if isinstance(event, StepReport):
            self._average(event)
        elif isinstance(event, SkippedStep):
            self.skipped, self.step = self.skipped + 1, event.step
        elif isinstance(event, RunStarted):
            self.started, self.step = event, event.steps_done
        elif isinstance(event, StepsChanged) and self.started is not None:
            self.started = self.started._replace(**event._asdict())
        elif isinstance(event, Validated):
            self.validated = event
            self.best = event if event.best else self.best
        self.stage = self._stage_after(event)

    def _stage_after(self, event: Event) -> Stage | None:
        """Return what is done after an event, other than steps."""
        if isinstance(event, Stage):
            return event
        if isinstance(event, DataPrepared):
            return Stage("building the model")
        if isinstance(event, Validating):
            return Stage("validating")
        if isinstance(event, Validated):
            return Stage("saving")
        is_step = isinstance(event, RunStarted | StepReport | SkippedStep | Saved | RunFinished)
        return None if is_step else self.stage

    def _average(self, event: StepReport) -> None:
        old = 0.0 if self.report is None else _SMOOTHING
        rate = event.tokens / event.seconds
        self.loss = old * self.loss + (1 - old) * event.loss
        self.units_per_second = old * self.units_per_second + (1 - old) * rate
        self.report, self.step = event, event.step

    def status(self) -> list[str]:
        """Return step, epoch, elapsed time, time left, and what is done other than steps."""
        elapsed = f"{format_duration(self.pace.elapsed)} elapsed"
        if self.started is None:
            return [*self._stage_text(), elapsed]
        steps = f"step {self.step:,}/{self.started.steps:,}"
        return [steps, self._epochs(self.started), elapsed, self.time_left(), *self._stage_text()]

    @property
    def unit(self) -> str:
        """The unit of what is predicted, a token or a text."""
        return "token" if self.started is None else self.started.unit

    def _epochs(self, started: RunStarted) -> str:
        per_step = started.batches_per_step / started.batches_per_epoch
        return f"epoch {self.step * per_step:.1f}/{started.steps * per_step:.1f}"

    def time_left(self) -> str:
        """Return the estimate of the time left, as text."""
        seconds = self.pace.seconds_left()
        if seconds is None:
            return "time left unknown"
        remark = "" if self.pace.counts_validations else " without validations"
        return f"{format_duration(seconds)} left{remark}"

    def _stage_text(self) -> list[str]:
        stage = self.stage  # once: another thread assigns it
        if stage is None:
            return []
        read = 0 if stage.lines_read is None else stage.lines_read()
        return [f"{stage.text} …", *([f"{format_count(read, 'line')} read"] if read else [])]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Behind the last line there is room for ^C, as a terminal shows that key.
        options = options.update(width=max(1, options.max_width - 2))
        drawn: list[RenderableType] = [
            Text(line, style="bold", no_wrap=False)
            for line in join_parts(self.status(), options.max_width)
        ]
        if self.started is not None:
            drawn.append(ProgressBar(total=self.started.steps, completed=self.step))
            drawn.append(self._figures())
        # Each by itself: the bar does not end its line.
        lines = [line for each in drawn for line in console.render_lines(each, options, pad=False)]
        for line in lines[: max(1, options.size.height - 1)]:
            yield from line
            yield Segment.line()

    def _figures(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold")
        grid.add_column(overflow="fold")
        if self.report is not None:
            grid.add_row("loss", f"{self.loss:.3f}")
            grid.add_row(f"{self.unit}s/s", f"{self.units_per_second:,.0f}")
            grid.add_row("learning rate", f"{self.report.learning_rate:.2e}")
        if self.skipped:
            grid.add_row("skipped", f"{format_count(self.skipped, 'step')} without finite numbers")
        if self.validated is not None:
            grid.add_row("validation", format_validation(self.validated))
        if self.best is not None and self.best is not self.validated:
            grid.add_row("best", format_validation(self.best))
        for label, text in self.validated.sample if self.validated is not None else []:
            grid.add_row(Text(label), Text(printable(text[:_MAX_SAMPLE])))
        return grid


def format_validation(validation: Validated) -> str:
    """Format a validation as one line."""
    scores = "".join(f", {s.name} {s.value:.2f}" for s in validation.scores.values())
    loss = f"loss {validation.loss:.4f}"
    if validation.perplexity is not None:
        loss += f", perplexity {validation.perplexity:.2f}"
    return f"step {validation.step:,}: {loss}{scores}"


def join_parts(parts: Sequence[str], width: int, mark: str = " · ") -> Iterator[str]:
    """Yield lines of at most `width` characters, as far as parts of them are no longer.

    >>> list(join_parts(["step 1/9", "epoch 0.1", "0:09 left"], 20))
    ['step 1/9 · epoch 0.1', '0:09 left']
    """
    line = ""
    for part in parts:
        joined = f"{line}{mark}{part}" if line else part
        if line and len(joined) > width:
            yield line
            joined = part
        line = joined
    yield line
