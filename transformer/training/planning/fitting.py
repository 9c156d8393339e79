"""The number of steps of a run, and the settings that follow it."""

import math
from collections.abc import Collection
from typing import Any

import msgspec

from ..recipe import Recipe, TrainingRecipe

WARMUP, EVERY, EPOCHS = "training.warmup", "validation.every", "training.epochs"
STEPS = "training.steps"
_MIN_STEPS = 300  # of chosen epochs: a text of few batches is read more often
_VALIDATIONS = 15  # of a run whose interval is chosen
_MIN_INTERVAL = 25  # steps


def most_steps(
    training: TrainingRecipe, batches_per_epoch: float, *, free: Collection[str] = ()
) -> int:
    """Return the steps that read a text as often as told; of chosen epochs, 300 at least."""
    steps = max(1, math.ceil(training.epochs * batches_per_epoch / training.accumulate))
    return max(steps, _MIN_STEPS) if EPOCHS in free else steps


def with_steps(recipe: Recipe, steps: int, *, free: Collection[str] = ()) -> Recipe:
    """Return the recipe with a number of steps in place of epochs and time.

    Of the warm-up and the interval of validations, those that are `free` follow it.
    """
    training: dict[str, Any] = {"steps": steps, "epochs": 0.0, "time": ""}
    validation: dict[str, Any] = {}
    if WARMUP in free:
        training["warmup"] = warmup_for(steps)
    if EVERY in free:
        validation["every"] = interval_for(steps)
    return msgspec.structs.replace(
        recipe,
        training=msgspec.structs.replace(recipe.training, **training),
        validation=msgspec.structs.replace(recipe.validation, **validation),
    )


def warmup_for(steps: int) -> int:
    """Return the steps of a warm-up: a tenth, between 50 and 1,000 where there are enough."""
    return min(1000, max(steps // 10, min(50, steps // 2)))


def interval_for(steps: int) -> int:
    """Return the steps between two validations, of which there are about 15."""
    return max(_MIN_INTERVAL, math.ceil(steps / _VALIDATIONS))
