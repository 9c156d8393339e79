"""Steps that fit into a time: estimated before training, and corrected while it goes on."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_CHECKS = 40  # corrections, at equal intervals of the whole time
_SPARE = 0.02  # of the time, for what comes after the last step
_VALIDATING = 0.1  # of the time, for validations
_TOLERANCE = 0.01  # of the steps; smaller corrections are not made


class Deadline:
    """The time at which a run is to end, and the pace of its steps so far.

    Time is that of `clock`, in seconds; it began at `started`, or begins now.
    """

    def __init__(
        self,
        seconds: float,
        *,
        started: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self._clock = seconds, clock
        self._started = self._checked = clock() if started is None else started
        self._began, self._first = self._started, 0  # of training, and the step before
        self._validations = self._validating = 0.0  # their number, and their seconds together

    def seconds_left(self) -> float:
        """Return the time that is left for steps and validations."""
        return self._started + self.seconds * (1 - _SPARE) - self._clock()

    def seconds_used(self) -> float:
        """Return the time since it began."""
        return self._clock() - self._started

    def begin(self, step: int) -> None:
        """Note that the steps after `step` begin now."""
        self._began = self._checked = self._clock()
        self._first = step

    @property
    def has_validated(self) -> bool:
        """True once the time of a validation is known."""
        return self._validations > 0

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Count what is done inside as a validation."""
        before = self._clock()
        yield
        self._validations += 1
        self._validating += self._clock() - before

    def corrected_steps(self, step: int, steps: int) -> int:
        """Return the steps in all that fit by the pace so far, or `steps` as long as they do.

        `step` of them are done; once the time is over, these are all.
        """
        now = self._clock()
        over = self.seconds_left() <= 0
        waits = step < steps and now - self._checked < self.seconds / _CHECKS
        if step == self._first or self.seconds == math.inf or (waits and not over):
            return steps
        self._checked = now
        pace = (now - self._began) / (step - self._first)
        fitting = step + max(0, int((self.seconds_left() - self._last_validation()) / pace))
        return fitting if over or abs(fitting - steps) > _TOLERANCE * steps else steps

    def interval(self, step: int, every: int) -> int:
        """Return the steps between validations, `every` or more: they take a tenth of the time."""
        if not self._validations or step == self._first:
            return every
        seconds = self._clock() - self._began - self._validating
        pace = max(seconds / (step - self._first), 1e-9)
        return max(every, math.ceil(self._last_validation() / pace / _VALIDATING))

    def _last_validation(self) -> float:
        """Estimate the time of the validation after the last step."""
        if self._validations:
            return self._validating / self._validations
        return self.seconds * _VALIDATING / 4 if self.seconds < math.inf else 0.0


def steps_in(seconds: float, step_seconds: float) -> int:
    """Return the number of steps that fit into a time, with a tenth of it for validations."""
    return max(1, math.floor((1 - _VALIDATING) * seconds / step_seconds))
