"""Progress of a run: where it stands, what was best, and when it is time to give up."""

import msgspec

from ..errors import DivergedError
from .trainer import SkippedStep, StepReport

REMEDY = "lower training.learning_rate or raise training.warmup; what was saved last stands"


class Progress(msgspec.Struct):
    """Numbers that a run remembers besides tensors."""

    step: int = 0
    validated_step: int = 0
    best_step: int | None = None
    best_value: float | None = None
    without_improvement: int = 0  # validations
    skipped: int = 0  # steps in all
    skipped_in_a_row: int = 0

    def validation_due(self, *, every: int, steps: int) -> bool:
        """Return True where the present step is to be validated and has not been."""
        at = self.step > 0 and (self.step % every == 0 or self.step >= steps)
        return at and self.validated_step != self.step

    def record_step(self, report: StepReport | SkippedStep, *, max_skipped: int) -> None:
        """Count a step. Raises DivergedError for too many in a row that were skipped."""
        if isinstance(report, StepReport):
            self.skipped_in_a_row = 0
            return
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= max_skipped:
            raise DivergedError(
                f"at step {report.step} the loss is {report.loss} and the gradient's norm "
                f"{report.gradient_norm}; {self.skipped_in_a_row} steps in a row were skipped: "
                f"{REMEDY}"
            )

    def record_validation(self, value: float) -> bool:
        """Count a validation of the present step, larger values being better. Returns True for a
        new best; the first of equals stays."""
        best = self.best_value is None or value > self.best_value
        if best:
            self.best_value, self.best_step = value, self.step
        self.without_improvement = 0 if best else self.without_improvement + 1
        return best

    def out_of_patience(self, patience: int) -> bool:
        """Return True after `patience` validations in a row without improvement; 0: never."""
        return 0 < patience <= self.without_improvement
