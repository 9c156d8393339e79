"""The part of a run that completes its recipe: choices, then the steps that fit into the time."""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import torch

from ...config import TransformerConfig
from ...data import Data
from ...durations import parse_duration
from ...errors import ConfigError
from ...loading import LoadedModel
from ..recipe import Recipe
from .choices import DEFAULT_TIME, Chooser
from .deadline import Deadline, steps_in
from .describing import choice_lines
from .facts import TextFacts, measure_recipe
from .fitting import EPOCHS, EVERY, WARMUP, interval_for, most_steps, warmup_for, with_steps
from .speed import measure_step

_FREE = (WARMUP, EVERY, EPOCHS)  # keys that follow the number of steps


class Choices(NamedTuple):
    """A recipe with its choices, each told in a line, and what they rest on."""

    recipe: Recipe
    lines: list[str]
    facts: TextFacts
    parameters: int  # about, as the tokenizer is not trained yet
    config: TransformerConfig
    steps: int  # about
    step_seconds: float
    batches_per_epoch: float


class Planner:
    """Choices of what was not `given`, and steps from epochs and time.

    `given` are nested fields of a recipe, from its file and options; None: nothing is chosen, as
    the recipe says all. The time begins now.
    """

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        self.given = given
        self.deadline = Deadline(math.inf)
        self._started = time.monotonic()
        self._most = 0  # steps that the epochs allow; 0: any number

    @property
    def chooses(self) -> bool:
        """True if something may be chosen."""
        return self.given is not None

    def choose(
        self, recipe: Recipe, device: torch.device, init: LoadedModel | None = None
    ) -> Choices:
        """Read the text that a recipe names, and choose; training starts from `init`, if any.

        Raises OSError and CorpusError.
        """
        given = self.given or {}
        facts = measure_recipe(recipe)
        model = None if init is None else init.config
        chooser = Chooser(given, facts, device, _seconds(given), model)
        chosen = chooser.choose()
        return Choices(
            recipe=chosen,
            lines=choice_lines(chosen, chooser),
            facts=facts,
            parameters=chooser.parameters(chosen),
            config=chooser.config(chosen),
            steps=chooser.steps(chosen),
            step_seconds=chooser.best.step_seconds,
            batches_per_epoch=chooser.batches_per_epoch(chosen),
        )

    def fit(
        self,
        recipe: Recipe,
        config: TransformerConfig,
        train: Data,
        device: torch.device,
        *,
        done: int = 0,
    ) -> Recipe:
        """Return the recipe with its number of steps, for text that is prepared.

        `done` of them were done before, in a run that is resumed. Raises ConfigError if the time is
        over.
        """
        training, limits, free = recipe.training, [], self._free()
        if not (training.epochs or training.time):
            return recipe
        if training.epochs:
            self._most = most_steps(training, train.batches_per_epoch, free=free)
            limits.append(self._most)
        if training.time:
            limits.append(done + self._steps_in_time(recipe, config, train, device))
        return with_steps(recipe, min(limits), free=free)

    def _steps_in_time(
        self, recipe: Recipe, config: TransformerConfig, train: Data, device: torch.device
    ) -> int:
        told = recipe.training.time
        self.deadline = Deadline(parse_duration("training.time", told), started=self._started)
        seconds = measure_step(config, recipe, train, device=device).median
        if (left := self.deadline.seconds_left()) <= 0:
            raise ConfigError(
                f"training.time is {told}, and preparing the text took all of it: give more"
            )
        return steps_in(left, seconds)

    def corrected(self, recipe: Recipe, step: int) -> Recipe | None:
        """Return the recipe with the steps that the pace so far allows; None if they are right.

        Where they were not given, the warm-up follows until it is over, and validations become
        rarer if they take more than a tenth of the time.
        """
        before, free = recipe.training.steps, self._free()
        steps = self.deadline.corrected_steps(step, before)
        steps = min(steps, max(step, self._most)) if self._most else steps
        if steps == before:
            return None
        corrected, every = with_steps(recipe, steps), recipe.validation.every
        if WARMUP in free and step < max(recipe.training.warmup, warmup_for(steps)):
            corrected = with_steps(recipe, steps, free={WARMUP})
        if EVERY in free:
            every = self.deadline.interval(step, interval_for(steps))
        return msgspec.structs.replace(
            corrected, validation=msgspec.structs.replace(corrected.validation, every=every)
        )

    def _free(self) -> frozenset[str]:
        """Return the keys that may follow the number of steps."""
        if self.given is None:
            return frozenset()
        parts = {key: key.split(".") for key in _FREE}
        return frozenset(
            key for key, (section, name) in parts.items() if name not in self.given.get(section, {})
        )


def _seconds(given: Mapping[str, Any]) -> float | None:
    """Return the time of a run; None if steps or epochs alone are given."""
    training = given.get("training", {})
    if "time" in training:
        return parse_duration("training.time", str(training["time"]))
    if "steps" in training or "epochs" in training:
        return None
    return parse_duration("training.time", DEFAULT_TIME)
