"""Schedules at the places where their values are known."""

import math

import pytest

from transformer.training.schedules import SCHEDULES

WARMUP, STEPS = 100, 1000


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_warms_up_to_one_and_never_leaves_0_to_1(name: str) -> None:
    schedule = SCHEDULES[name]
    values = [schedule(step, WARMUP, STEPS) for step in range(1, STEPS + 1)]
    assert values[WARMUP - 1] == 1.0
    assert values[WARMUP // 2 - 1] == pytest.approx(0.5)
    assert values[0] == pytest.approx(0.01)
    assert all(0 <= value <= 1 for value in values)
    assert values[WARMUP - 1 :] == sorted(values[WARMUP - 1 :], reverse=True)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_works_without_a_warm_up(name: str) -> None:
    assert 0 < SCHEDULES[name](1, 0, STEPS) <= 1


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_climbs_or_leaves_0_to_1_after_the_last_step(name: str) -> None:
    values = [SCHEDULES[name](step, WARMUP, STEPS) for step in (STEPS, STEPS + 50, 2 * STEPS)]
    assert values == sorted(values, reverse=True)
    assert 0 <= values[-1] <= 1


@pytest.mark.parametrize(
    ("name", "step", "value"),
    [
        ("constant", 900, 1.0),
        ("inverse-sqrt", 400, 0.5),
        ("noam", 900, 1 / 3),
        ("cosine", 550, 0.5),
        ("cosine", 1000, 0.0),
        ("linear", 550, 0.5),
        ("linear", 1000, 0.0),
        ("wsd", 800, 1.0),
        ("wsd", 850, 0.5),
        ("wsd", 1000, 0.0),
    ],
)
def test_values_worked_by_hand(name: str, step: int, value: float) -> None:
    assert SCHEDULES[name](step, WARMUP, STEPS) == pytest.approx(value, abs=1e-9)


def test_noam_is_the_papers_curve() -> None:
    """lrate = d^-½ · min(s^-½, s·w^-1.5) is our factor times d^-½ · w^-½."""
    d_model, warmup = 512, 4000
    for step in (1, 1000, 4000, 20_000):
        paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        ours = SCHEDULES["noam"](step, warmup, 0) * d_model**-0.5 * warmup**-0.5
        assert math.isclose(paper, ours)
