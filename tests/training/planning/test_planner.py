"""Corrections of a run on its way: steps, warm-up and the interval of validations."""

import pytest

from tests.training.planning.test_deadline import Clock
from transformer.training.planning.deadline import Deadline
from transformer.training.planning.fitting import EVERY, WARMUP
from transformer.training.planning.planner import Planner
from transformer.training.progress import TimeBudget
from transformer.training.recipe import Recipe
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
