"""Progress of a run: its step, its best validation, and when to stop early or give up."""

import msgspec

from tokenizer.quantities import format_count

from ..errors import DivergedError
from .selection import SelectionKey
from .trainer import SkippedStep, StepReport

REMEDY = "lower training.learning_rate or raise training.warmup; the last checkpoint is kept"


class TimeBudget(msgspec.Struct):
    """The time that a run was given, from which its steps follow, over all of its sessions."""

    time: str  # as it was given, such as 20m
    steps: int = 0  # that are decided on
    seconds_used: float = 0.0  # until the last save
    most_steps: int = 0  # that epochs allow; 0: any number
    free: list[str] = []  # keys that follow the number of steps


class Progress(msgspec.Struct):
    """State of a run other than tensors, saved with each checkpoint."""

    step: int = 0
    checkpoint_step: int | None = None  # of the last checkpoint
    validated_step: int = 0
    best_step: int | None = None
    best_key: SelectionKey | None = None
    without_improvement: int = 0  # validations in a row
    announced: list[str] = []  # metrics that were said to decide in place of the recipe's
    skipped: int = 0  # steps in all
    skipped_in_a_row: int = 0
    init: str | None = None  # the model that training started from, with --init
    interval_moved: bool = False  # between validations, as the steps that fit into a time changed
    budget: TimeBudget | None = None  # None: the run was given steps or epochs
    measure: str | None = None  # identity of what validations measure; None: of an older version

    @property
    def is_of_older_version(self) -> bool:
        """True if the best validation has no rank, nor is it known what it measured."""
        return self.best_step is not None and self.best_key is None and self.measure is None

    def forget_best(self) -> None:
        """Begin a comparison of validations in which the next is the best."""
        self.best_step = self.best_key = None
        self.without_improvement = 0

    def set_measure(self, measure: str, *, may_differ: bool) -> bool:
        """Note what validations measure; return True if the best one measured something else.

        Then the next counts as the best. `may_differ`: so it is if that is not known.
        """
        differs = may_differ if self.measure is None else self.measure != measure
        self.measure = measure
        if not differs or self.best_step is None:
            return False
        self.best_key, self.without_improvement = None, 0
        return True

    def validation_due(self, *, every: int, steps: int) -> bool:
        """Return True if the current step is one to validate at and has not been validated.

        Steps are counted from the last validation once the interval has moved: by multiples of it,
        two could follow each other at once.
        """
        at = self.step % every == 0
        if self.interval_moved:
            at = self.step - self.validated_step >= every
        due = self.step > 0 and (at or self.step >= steps)
        return due and self.validated_step != self.step

    def record_step(self, report: StepReport | SkippedStep, *, max_skipped: int) -> None:
        """Count a step. Raises DivergedError at `max_skipped` skipped steps in a row."""
        if isinstance(report, StepReport):
            self.skipped_in_a_row = 0
            return
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= max_skipped:
            raise DivergedError(
                f"at step {report.step} the loss is {report.loss} and the gradient's norm "
                f"{report.gradient_norm}; {format_count(self.skipped_in_a_row, 'step')} in "
                f"a row skipped: "
                f"{REMEDY}"
            )

    def record_validation(self, key: SelectionKey) -> bool:
        """Count a validation of the current step; return True if it is the best so far.

        Of equal ones the first stays the best.
        """
        self.validated_step = self.step
        best = self.best_key is None or key > self.best_key
        if best:
            self.best_key, self.best_step = key, self.step
        self.without_improvement = 0 if best else self.without_improvement + 1
        return best

    def out_of_patience(self, patience: int) -> bool:
        """Return True after `patience` validations in a row without improvement; 0: never stop."""
        return 0 < patience <= self.without_improvement
