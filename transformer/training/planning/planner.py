"""The part of a run that completes its recipe: choices, then the steps that fit into the time."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from ...config import TransformerConfig
from ...data import Data
from ...durations import parse_duration, spell_duration
from ...errors import ConfigError
from ...loading import LoadedModel
from ..data_recipe import names_text
from ..network_config import further_config
from ..progress import TimeBudget
from ..recipe import Recipe, has_key, merge
from ..recipe_layers import merged_layers, read_layers
from ..recipe_resolution import recipe_of
from ..run_recipe import missing_run_message
from ..vocabulary import most_grown
from .auto_recipe import DEFAULT_TIME, AutoRecipe
from .deadline import Deadline, steps_in
from .describing import choice_lines
from .facts import TextFacts, measure_recipe
from .fitting import EPOCHS, EVERY, STEPS, WARMUP, interval_for, most_steps, warmup_for, with_steps
from .readable_length import readable_length
from .speed import MAX_SECONDS, measure_step

_MEASURING = 0.05  # of a run's time, at most, to measure a step again
_ROOM = 4  # times what was used before the first step: a time that is worth while
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
    the recipe says all. `anew` are those that do not come from the run that is resumed; None: the
    ones that differ from its own. The time begins now.
    """

    def __init__(
        self, given: Mapping[str, Any] | None = None, *, anew: Mapping[str, Any] | None = None
    ) -> None:
        self.given, self.anew = given, anew
        self.deadline = Deadline(math.inf)
        self.budget: TimeBudget | None = None  # of a run that has a time
        self._started = time.monotonic()
        self._chose = 0.0  # seconds that choices took
        self._least_interval = 0  # of validations, in a resumed run that has not seen one yet

    @property
    def chooses(self) -> bool:
        """True if something may be chosen."""
        return self.given is not None

    def recipe_for(self, recipe: Recipe, model: TransformerConfig) -> Recipe:
        """Return a recipe with which a trained model can be trained further, if it may choose."""
        if self.given is None:
            return recipe
        return recipe_of(merge(readable_length(self.given, model), self.given))

    def choose(
        self, recipe: Recipe, device: torch.device, init: LoadedModel | None = None
    ) -> Choices:
        """Read the text that a recipe names, and choose; training starts from `init`, if any.

        Raises OSError and CorpusError.
        """
        given = self.given or {}
        facts = measure_recipe(recipe)
        model = None if init is None else further_config(most_grown(init, recipe), recipe)
        auto = AutoRecipe(
            given,
            facts,
            device,
            _seconds(given),
            model,
            tokenizer_path=recipe.tokenizer.path,
            anew=self.anew,
        )
        chosen = auto.complete()
        self._chose = time.monotonic() - self._started
        return Choices(
            recipe=chosen,
            lines=choice_lines(chosen, auto),
            facts=facts,
            parameters=auto.parameters(chosen),
            config=auto.config(chosen),
            steps=auto.steps(chosen),
            step_seconds=auto.best.step_seconds,
            batches_per_epoch=auto.batches_per_epoch(chosen),
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
        training, limits, most, free = recipe.training, [], 0, self._free()
        if not (training.epochs or training.time):
            return recipe
        if training.epochs:
            most = most_steps(training, train.batches_per_epoch, free=free)
            limits.append(most)
        if self.budget is not None:  # of a resumed run that is given epochs, too
            limits += [self.budget.steps] if self.budget.steps != self.budget.most_steps else []
            self.budget.most_steps = most
        if training.time:
            self.budget = TimeBudget(training.time, most_steps=most, free=sorted(free))
            limits.append(done + self._steps_in_time(recipe, config, train, device))
        return with_steps(recipe, min(limits), free=free)

    def resume(self, recipe: Recipe, saved: Recipe, budget: TimeBudget | None) -> Recipe:
        """Return the recipe of a resumed run, whose recipe was `saved`.

        Where it is given neither steps nor another time, its time goes on from what was used of
        it: the steps are those that were decided on until they are corrected. Epochs that are given
        anew bound them. What is given anew no longer follows the steps.
        """
        given, anew = recipe.training, self._keys_anew(recipe, saved)
        goes_on = given.time == budget.time if budget and given.time else not given.epochs
        if budget is None or not goes_on or STEPS in anew:
            return recipe
        self.budget = budget
        budget.free = [key for key in budget.free if key not in anew]
        self.deadline = Deadline(
            parse_duration("training.time", budget.time),
            started=self._started - budget.seconds_used,
        )
        self._least_interval = recipe.validation.every
        resumed = with_steps(recipe, budget.steps)
        bounded = msgspec.structs.replace(resumed.training, epochs=given.epochs)
        return msgspec.structs.replace(resumed, training=bounded)

    def _keys_anew(self, recipe: Recipe, saved: Recipe) -> set[str]:
        """Return the keys on steps, and what follows them, that a resumed run is given anew."""
        keys = (*_FREE, STEPS)
        if self.anew is not None:
            return {key for key in keys if has_key(self.anew, key)}
        old, new = msgspec.to_builtins(saved), msgspec.to_builtins(recipe)
        length = () if not (recipe.training.epochs or recipe.training.time) else (STEPS,)
        return {
            key
            for key, (section, name) in ((key, key.split(".")) for key in keys)
            if old[section][name] != new[section][name] and key not in length
        }

    def count_time(self, recipe: Recipe) -> TimeBudget | None:
        """Return the budget as it is by now, with the steps that are decided on."""
        if self.budget is not None:
            self.budget.steps = recipe.training.steps
            self.budget.seconds_used = self.deadline.seconds_used()
        return self.budget

    def _steps_in_time(
        self, recipe: Recipe, config: TransformerConfig, train: Data, device: torch.device
    ) -> int:
        told = recipe.training.time
        self.deadline = Deadline(parse_duration("training.time", told), started=self._started)
        prepared = self.deadline.seconds_used() - self._chose
        most = min(MAX_SECONDS, _MEASURING * self.deadline.seconds)
        seconds = measure_step(config, recipe, train, device=device, seconds=most).median
        if (left := self.deadline.seconds_left()) <= 0:
            raise ConfigError(self._time_is_over(told, prepared))
        return steps_in(left, seconds)

    def _time_is_over(self, told: str, prepared: float) -> str:
        """Return a message on a time that is over, with what took it, and a time that may do."""
        used = self.deadline.seconds_used()
        phases = {
            "measuring the text and this machine": self._chose,
            "preparing the text": prepared,
            "measuring a step": used - self._chose - prepared,
        }
        took = [f"{name} took {spent:.1f} s" for name, spent in phases.items() if spent >= 0.05]
        least = spell_duration(max(10, 10 * math.ceil(_ROOM * used / 10)))
        return (
            f"training.time is {told}, which was over before the first step: {', '.join(took)}; "
            f"give at least {least}"
        )

    def corrected(self, recipe: Recipe, step: int) -> Recipe | None:
        """Return the recipe with the steps that the pace so far allows; None if they are right.

        Where they were not given, the warm-up follows until it is over, and validations become
        rarer if they take more than a tenth of the time.
        """
        if self.budget is None:
            return None
        before, free, most = recipe.training.steps, self.budget.free, self.budget.most_steps
        steps = self.deadline.corrected_steps(step, before)
        steps = min(steps, max(step, most)) if most else steps
        if steps == before:
            return None
        corrected, every = with_steps(recipe, steps), recipe.validation.every
        if WARMUP in free and step < max(recipe.training.warmup, warmup_for(steps)):
            corrected = with_steps(recipe, steps, free={WARMUP})
        if EVERY in free:
            least = 0 if self.deadline.has_validated else self._least_interval
            every = max(least, self.deadline.interval(step, interval_for(steps)))
        return msgspec.structs.replace(
            corrected, validation=msgspec.structs.replace(corrected.validation, every=every)
        )

    def _free(self) -> frozenset[str]:
        """Return the keys that may follow the number of steps."""
        if self.given is None:
            return frozenset()
        return frozenset(key for key in _FREE if not has_key(self.given, key))


def plan_recipe(
    path: Path | None,
    fields: Mapping[str, Any],
    settings: Sequence[str],
    *,
    resumed: Path | None = None,
) -> tuple[Recipe, Planner]:
    """Return the recipe of what a user gives, and the planner that completes it.

    The command line and Python begin here. Without a recipe file, what is not given is chosen; with
    one, no more than the steps that fit into its time. Raises what `resolve_recipe` raises.
    """
    layers = read_layers(path, fields, settings, resumed=resumed)
    given, anew = merged_layers(layers), merged_layers(layers[1:])
    if resumed is not None and not layers[0] and not names_text(given):
        raise ConfigError(missing_run_message(resumed))
    recipe = recipe_of(given)
    chooses = path is None or bool(recipe.training.time)
    return recipe, Planner(given if chooses else None, anew=anew)


def _seconds(given: Mapping[str, Any]) -> float | None:
    """Return the time of a run; None if steps or epochs alone are given."""
    training = given.get("training", {})
    if "time" in training:
        return parse_duration("training.time", str(training["time"]))
    if "steps" in training or "epochs" in training:
        return None
    return parse_duration("training.time", DEFAULT_TIME)
