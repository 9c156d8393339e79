"""Runs of several ways to do the same work, by turns, timed."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

Work = Callable[[], int]  # does it, and returns the units that it made, such as tokens
LEAST_SECONDS = 0.2  # of a run: shorter ones depend on what else the machine does


class TimedRun(NamedTuple):
    """One run: units a second; None for one that warms up."""

    name: str
    rate: float | None


def timed_runs(
    work: Mapping[str, Work],
    *,
    repeats: int,
    least_seconds: float = LEAST_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[TimedRun]:
    """Yield runs as they end: in each round one of each name, after a round to warm up.

    So whatever else the machine does falls on all alike. A run does its work until it has taken
    `least_seconds`.
    """
    for number in range(repeats + 1):
        for name, do in work.items():
            rate = _rate(do, least_seconds if number else 0.0, clock)
            yield TimedRun(name, rate if number else None)


def _rate(do: Work, least_seconds: float, clock: Callable[[], float]) -> float:
    """Return the units a second of work that is done at least once."""
    started = clock()
    units = do()
    while (seconds := clock() - started) < least_seconds:
        units += do()
    return units / seconds
