"""The pace of a training run: the time of its steps and pauses, and the time left by them."""

import time
from collections.abc import Callable

from transformer.training.events import (
    Event,
    RunStarted,
    Saved,
    StepsChanged,
    Validated,
    Validating,
)
from transformer.training.trainer import SkippedStep, StepReport

_WINDOW = 200  # steps by which the seconds of a step are averaged


class TrainingPace:
    """The pace of a run, from its events as they come.

    Steps and pauses (validations and saving) are timed apart: few steps pass between two pauses of
    a short run, and many in a long one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began, self._mark = clock(), clock()
        self._started: RunStarted | None = None
        self._step = self._steps_timed = self._due_done = self._due_timed = 0
        self._step_seconds = self._pause_seconds = 0.0
        self._is_validating = False

    def update(self, event: Event) -> None:
        """Count the time since the last event for what ended with this one."""
        now = self._clock()
        if isinstance(event, RunStarted):
            self._started, self._step = event, event.steps_done
            self._due_done = self._due_until(event.steps_done)
        elif isinstance(event, StepsChanged) and self._started is not None:
            self._started = self._started._replace(**event._asdict())
            self._due_done = self._due_until(self._step)
            return
        elif isinstance(event, StepReport | SkippedStep):
            self._step = event.step
            self._count_step(now - self._mark)
        elif isinstance(event, Validating):
            self._is_validating = True
        elif isinstance(event, Validated | Saved):
            self._pause_seconds += now - self._mark
            if isinstance(event, Saved):
                due = self._due_until(event.step)
                self._due_timed += due - self._due_done
                self._due_done, self._is_validating = due, False
        else:
            return
        self._mark = now

    def _count_step(self, seconds: float) -> None:
        """Count a step: the first, which prepares kernels, no longer once there is another."""
        self._steps_timed += 1
        share = 1 / min(max(1, self._steps_timed - 1), _WINDOW)
        self._step_seconds += share * (seconds - self._step_seconds)

    def _due_until(self, step: int) -> int:
        """Return the number of validations that are due up to a step."""
        if self._started is None or not (every := self._started.validate_every):
            return 0
        due, since = divmod(step, every)
        return due + 1 if since and step >= self._started.steps else due  # the last step is, too

    @property
    def elapsed(self) -> float:
        """The seconds since the program began."""
        return self._clock() - self._began

    @property
    def counts_validations(self) -> bool:
        """True if the time left has the validations to come, or none come."""
        if self._started is None:
            return True
        return self._due_timed > 0 or self._due_until(self._started.steps) <= self._due_done

    def seconds_left(self) -> float | None:
        """Estimate the remaining time from the pace so far; None before the first step."""
        if self._started is None or not self._steps_timed:
            return None
        in_this = self._clock() - self._mark
        steps = (self._started.steps - self._step) * self._step_seconds
        due = self._due_until(self._started.steps) - self._due_done
        pause = self._pause_seconds / self._due_timed if self._due_timed else 0.0
        if self._is_validating:
            return steps + max(due * pause - min(in_this, pause), 0.0)
        return max(steps - min(in_this, self._step_seconds), 0.0) + due * pause
