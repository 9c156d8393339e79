"""The time of a run: steps that fit into it, corrected by the pace."""

import pytest

from transformer.training.planning.deadline import Deadline, steps_in


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ends(clock: Clock, deadline: Deadline, *, step: float, validation: float, steps: int) -> None:
    """Train until all steps are done, validating every 50."""
    deadline.begin(0)
    done = 0
    while done < steps:
        assert clock.now < 10_000, "it never ends"
        clock.now += step
        done += 1
        steps = deadline.corrected_steps(done, steps)
        if done % 50 == 0 or done == steps:
            with deadline.validating():
                clock.now += validation


@pytest.mark.parametrize("estimate", [10, 1000, 50_000])
@pytest.mark.parametrize(("step", "validation"), [(1, 0), (0.1, 2), (5, 60)])
def test_a_run_ends_in_time_whatever_was_estimated(
    estimate: int, step: float, validation: float
) -> None:
    clock = Clock()
    deadline = Deadline(1200, clock=clock)
    clock.now += 60  # reading the text
    ends(clock, deadline, step=step, validation=validation, steps=estimate)
    took = clock.now - 100
    assert 0.9 * 1200 < took < 1200 + step + validation


def test_once_the_time_is_over_no_step_is_added() -> None:
    clock = Clock()
    deadline = Deadline(100, clock=clock)
    deadline.begin(0)
    clock.now += 500
    assert deadline.corrected_steps(3, 900) == 3


def test_validations_become_rarer_until_they_take_a_tenth_of_the_time() -> None:
    clock = Clock()
    deadline = Deadline(1000, clock=clock)
    deadline.begin(0)
    assert deadline.interval(0, 25) == 25
    clock.now += 50  # a second a step
    with deadline.validating():
        clock.now += 20
    assert deadline.interval(50, 25) == 200
    assert deadline.interval(50, 300) == 300


def test_a_tenth_of_the_time_is_for_validations() -> None:
    assert steps_in(100, 0.5) == 180
    assert steps_in(1, 50) == 1


def test_without_a_time_steps_stay() -> None:
    clock = Clock()
    deadline = Deadline(float("inf"), clock=clock)
    deadline.begin(0)
    clock.now += 1e9
    assert [deadline.corrected_steps(done, 7) for done in (1, 6, 7)] == [7, 7, 7]


def test_a_run_that_is_done_early_goes_on() -> None:
    clock = Clock()
    deadline = Deadline(100, clock=clock)
    deadline.begin(0)
    clock.now += 1
    assert deadline.corrected_steps(1, 2) == 2
    assert 80 < deadline.corrected_steps(2, 2) * 0.5 < 100
