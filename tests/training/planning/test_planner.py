"""Corrections of a run on its way: steps, warm-up and the interval of validations."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from tests.training.planning.test_deadline import Clock
from transformer.data import Data
from transformer.errors import ConfigError
from transformer.presets import preset_config
from transformer.training.planning.deadline import Deadline
from transformer.training.planning.fitting import EVERY, WARMUP
from transformer.training.planning.planner import Planner, plan_recipe
from transformer.training.progress import TimeBudget
from transformer.training.recipe import Recipe, merge
from transformer.training.recipe_resolution import recipe_of


def given_keys(given: dict) -> set[str]:
    return {f"{section}.{key}" for section, fields in given.items() for key in fields}


def corrected(given: dict, *, step: int, seconds: float) -> Recipe | None:
    """Correct a recipe of 20 steps, warm-up 2, after so many, each of so many seconds of 1,000."""
    clock = Clock()
    planner = Planner(given)
    planner.deadline = Deadline(1000, clock=clock)
    planner.budget = TimeBudget("1000s", free=sorted({WARMUP, EVERY} - given_keys(given)))
    planner.deadline.begin(0)
    clock.now += step * seconds
    recipe = recipe_of({"training": {"steps": 20, "warmup": 2}, "validation": {"every": 25}})
    return planner.corrected(recipe, step)


def test_a_faster_machine_gets_more_steps_and_a_longer_warm_up() -> None:
    recipe = corrected({}, step=20, seconds=2)
    assert recipe is not None
    assert 450 < recipe.training.steps < 500
    assert recipe.training.warmup == 50
    assert recipe.validation.every == 32


@pytest.mark.parametrize("given", [{"training": {"warmup": 2}}, {"validation": {"every": 25}}])
def test_what_is_given_is_not_corrected(given: dict) -> None:
    recipe = corrected(given, step=20, seconds=2)
    assert recipe is not None
    assert (recipe.training.warmup == 2) == ("training" in given)
    assert (recipe.validation.every == 25) == ("validation" in given)


def test_a_warm_up_that_is_over_stays() -> None:
    recipe = corrected({}, step=60, seconds=4)
    assert recipe is not None
    assert recipe.training.warmup == 2


def test_a_run_on_its_way_to_the_right_number_stays_as_it_is() -> None:
    assert corrected({}, step=1, seconds=47) is None


def resumed_planner(given: dict, anew: dict | None, budget: TimeBudget) -> tuple[Planner, Recipe]:
    """Resume a run of 20 steps by what it is given, over its own recipe."""
    own = {"training": {"steps": 20, "warmup": 2}, "validation": {"every": 300}}
    planner = Planner(None, anew=anew)
    recipe = planner.resume(recipe_of(merge(own, given)), recipe_of(own), budget)
    return planner, recipe


def twenty_steps(**fields: Any) -> TimeBudget:
    return TimeBudget("1000s", steps=20, free=sorted({WARMUP, EVERY}), **fields)


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("given", [{"training": {"warmup": 3}}, {"validation": {"every": 400}}])
def test_what_a_resumed_run_is_given_anew_is_not_corrected(given: dict, knows: bool) -> None:
    planner, _ = resumed_planner(given, given if knows else None, twenty_steps())
    assert planner.budget is not None
    assert planner.budget.free == sorted({WARMUP, EVERY} - given_keys(given))


def test_steps_that_are_given_anew_end_the_time_of_a_resumed_run() -> None:
    same = {"training": {"steps": 20}}
    planner, recipe = resumed_planner(same, same, twenty_steps())
    assert planner.budget is None
    assert recipe.training.steps == 20


@pytest.mark.parametrize(("decided", "most", "steps"), [(20, 20, 60), (20, 0, 20), (99, 0, 60)])
def test_epochs_that_are_given_anew_bound_a_resumed_run(
    decided: int, most: int, steps: int
) -> None:
    both = {"training": {"time": "1000s", "epochs": 2}}
    budget = TimeBudget("1000s", steps=decided, most_steps=most)
    planner, recipe = resumed_planner(both, both, budget)
    data = cast("Data", SimpleNamespace(batches_per_epoch=30))
    recipe = planner.fit(
        recipe, preset_config("translate-tiny", vocab_size=9), data, torch.device("cpu")
    )
    assert recipe.training.steps == steps
    assert planner.budget is not None
    assert planner.budget.most_steps == 60


def test_validations_of_a_resumed_run_stay_as_rare_until_one_is_measured() -> None:
    clock = Clock()
    planner, recipe = resumed_planner({}, {}, twenty_steps())
    planner.deadline = Deadline(1000, clock=clock)
    planner.deadline.begin(0)
    clock.now += 40
    corrected = planner.corrected(recipe, 20)
    assert corrected is not None
    assert corrected.validation.every == 300
    with planner.deadline.validating():
        clock.now += 2
    clock.now += 80
    corrected = planner.corrected(recipe, 60)
    assert corrected is not None
    assert corrected.validation.every < 50


def test_resuming_what_is_no_run_names_those_that_are(tmp_path: Path) -> None:
    for name, mark in {"first": "run.json", "stopped": "run.lock"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / mark).write_text("{}")
    for name, words in {
        "frist": f"no run in {tmp_path}/frist to go on with; did you mean {tmp_path}/first?",
        ".": f"no run in {tmp_path} to go on with; a new run begins from --pairs",
        "stopped": f"{tmp_path}/stopped is a run that was stopped before it had a recipe: a new",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(words)):
            plan_recipe(None, {}, [], resumed=tmp_path / name)
    told = {"data": {"pairs": ["a.tsv"]}}
    assert plan_recipe(None, told, [], resumed=tmp_path / "frist")[0].data.pairs == ["a.tsv"]
