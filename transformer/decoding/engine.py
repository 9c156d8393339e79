"""Engines: a search and its step function, which texts enter and leave while others are written."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from .request import Event, Hypothesis, Request, RequestFinished
from .search import Search
from .steppers import Stepper


class Engine(NamedTuple):
    """What writes: a search, and the step function that it asks."""

    stepper: Stepper
    search: Search


# Gives tasks to begin beside those that are running, if any are to begin now; None at the end.
TakeRequests = Callable[[Sequence[Request]], Sequence[Request] | None]


def run(stepper: Stepper, search: Search, take: TakeRequests) -> Iterator[list[Event]]:
    """Write texts as they come, and yield what each step decided: finished texts make room for
    waiting ones (continuous batching, Orca, OSDI 2022)."""
    while (tasks := take(search.requests)) is not None or search.requests:
        if tasks:
            stepper.admit(tasks, search.width)
            search.add(tasks)
        yield search.step(stepper) if search.requests else []


def decode_all(
    stepper: Stepper, search: Search, tasks: Sequence[Request]
) -> list[list[Hypothesis]]:
    """Write all of these side by side; each task's hypotheses, best first."""
    waiting = [list(tasks)]
    steps = run(stepper, search, lambda _: waiting.pop() if waiting else None)
    events = (event for step in steps for event in step)
    found = {
        event.request: event.hypotheses for event in events if isinstance(event, RequestFinished)
    }
    return [found[task] for task in tasks]
