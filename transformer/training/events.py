"""Events of a training run, which a run yields as it goes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..evaluation import Score
from .data_report import ExamplesReport
from .trainer import SkippedStep, StepReport


class Stage(NamedTuple):
    """A part of the work that begins, in one line, and a count of the lines it has read so far."""

    text: str
    lines_read: Callable[[], int] | None = None


class Remark(NamedTuple):
    """A message about the run in which nothing is lost, in one line."""

    text: str


class Notice(NamedTuple):
    """A message about what was lost, changed or ignored, in one line."""

    text: str


class Choice(NamedTuple):
    """A choice that was made for the run, and its reason, in one line."""

    text: str


class DataPrepared(NamedTuple):
    """The text as ids: what was read and what was left out of it."""

    training: ExamplesReport
    validation: ExamplesReport | None


class RunStarted(NamedTuple):
    """The start of training: data and model are ready."""

    parameters: int
    device: str
    steps: int
    steps_done: int
    batches_per_epoch: int
    batches_per_step: int = 1
    validate_every: int = 0  # steps; 0: there is nothing to validate on
    validated_step: int = 0  # the last one that is validated
    is_timed: bool = False  # the steps are an estimate, corrected on the way
    trained: int | None = None  # of the parameters; None: all
    unit: str = "token"  # of what is predicted


class Validating(NamedTuple):
    """A validation that begins."""

    step: int


class StepsChanged(NamedTuple):
    """Another number of steps in all, as a run's time allows, and between validations."""

    steps: int
    validate_every: int


class Validated(NamedTuple):
    """Results of a validation."""

    step: int
    loss: float
    perplexity: float | None  # None: no tokens are predicted
    scores: dict[str, Score]
    sample: list[tuple[str, str]]  # labels and texts
    best: bool  # the best so far
    decided_by: str  # the recipe's metric, or the one that stands in for it


class Saved(NamedTuple):
    """A state to resume from that has been written, and a checkpoint unless `folder` is None."""

    step: int
    folder: Path | None  # of the checkpoint; None: between validations


class RunOutcome(NamedTuple):
    """A run that has ended, as its best checkpoint shows it."""

    objective: str
    checkpoint: Path  # the best one; the last one where nothing was validated
    best_step: int | None  # None: nothing was validated
    scores: dict[str, float]  # of its validation, by name
    samples: list[list[tuple[str, str]]]  # labels and texts of each


class RunFinished(NamedTuple):
    """The end of training, or an interruption after saving."""

    step: int
    reason: str
    interrupted: bool
    skipped: int = 0  # steps skipped in the whole run
    seconds: float = 0.0  # since the run began, or was resumed
    resumed_at: int = 0  # the step
    outcome: RunOutcome | None = None  # None: interrupted
    time: str = ""  # that the run was given, such as 20m


Event = (
    Stage
    | Remark
    | Notice
    | Choice
    | DataPrepared
    | RunStarted
    | StepsChanged
    | StepReport
    | SkippedStep
    | Validating
    | Validated
    | Saved
    | RunFinished
)
