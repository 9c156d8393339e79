"""The event with which training starts: what is trained, for how long, and how often validated."""

from .events import RunStarted
from .objectives import OBJECTIVES
from .progress import Progress
from .trainer import Trainer


def started_event(trainer: Trainer, validate_every: int, progress: Progress) -> RunStarted:
    """Return the start of a run; it validates every so many steps, 0 if it cannot."""
    trainable, recipe = trainer.trainable, trainer.recipe
    return RunStarted(
        trainable.total,
        str(trainer.device),
        recipe.training.steps,
        trainer.steps_done,
        trainer.data.batches_per_epoch,
        recipe.training.accumulate,
        validate_every,
        progress.validated_step,
        unit=OBJECTIVES[recipe.objective].unit,
        trained=None if trainable.trained == trainable.total else trainable.trained,
    )
