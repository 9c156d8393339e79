"""What training tells whoever listens."""

from pathlib import Path
from typing import NamedTuple

from ..evaluation import Score
from .trainer import SkippedStep, StepReport


class Notice(NamedTuple):
    """Something that the user should know, in one line."""

    text: str


class RunStarted(NamedTuple):
    """Everything stands; the first step comes next."""

    parameters: int
    device: str
    steps: int
    steps_done: int
    batches_per_epoch: int


class Validated(NamedTuple):
    """What the model can do after a step."""

    step: int
    loss: float
    perplexity: float
    scores: dict[str, Score]
    sample: list[tuple[str, str]]
    best: bool


class Saved(NamedTuple):
    """A checkpoint was written."""

    step: int
    folder: Path


class RunFinished(NamedTuple):
    """Training is over, or interrupted and saved."""

    step: int
    reason: str
    interrupted: bool
    skipped: int = 0  # steps, in all of the run


Event = Notice | RunStarted | StepReport | SkippedStep | Validated | Saved | RunFinished
