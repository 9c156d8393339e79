"""The outcome of a run that has ended: its best checkpoint, and what that generates."""

from contextlib import suppress
from pathlib import Path

from checkpoints import WEIGHTS, CheckpointError, load_tensors

from .adaptation import Adaptation
from .events import RunOutcome
from .progress import Progress
from .recipe import Recipe
from .run_folder import checkpoint_folder
from .run_summary import validation_scores
from .trainer import Trainer
from .validation import Validation

_SAMPLES = 3


def find_outcome(
    recipe: Recipe,
    run: Path,
    progress: Progress,
    trainer: Trainer,
    validation: Validation | None,
    *,
    adaptation: Adaptation | None = None,
) -> RunOutcome:
    """Return the outcome of a run that is saved; its trainer is of no use afterwards.

    The weights of the best checkpoint take the place of the last ones: a large model may have no
    room beside them. There are no samples without a validation.
    """
    best = progress.best_step
    step = progress.step if best is None else best
    checkpoint, samples = checkpoint_folder(run, step), []
    # a run that has ended well does not fail for a checkpoint that somebody has removed
    with trainer.evaluating() as model, suppress(CheckpointError, OSError):
        if validation is not None:
            if step != progress.step and adaptation is not None:
                adaptation.read(checkpoint, model)
            elif step != progress.step:
                model.load_state_dict(load_tensors(checkpoint / WEIGHTS))
            samples = validation.samples(model, limit=_SAMPLES)
    scores = {} if best is None else validation_scores(run, best)
    return RunOutcome(recipe.objective, checkpoint, best, scores, samples)
