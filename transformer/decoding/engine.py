"""Engines: a search and its step function, which requests join and leave as they run."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from .request import Event, Hypothesis, Request, RequestFinished
from .search import Search
from .steppers import Stepper


class Engine(NamedTuple):
    """A search, and the stepper whose logits it reads."""

    stepper: Stepper
    search: Search


# From the running requests to those to admit now, if any; None once no more will come.
TakeRequests = Callable[[Sequence[Request]], Sequence[Request] | None]


def run(stepper: Stepper, search: Search, take_requests: TakeRequests) -> Iterator[list[Event]]:
    """Decode requests as they arrive, and yield the events of each step.

    Finished requests make room for waiting ones: continuous batching (Orca, OSDI 2022).
    """
    while (requests := take_requests(search.requests)) is not None or search.requests:
        if requests:
            stepper.admit(requests, search.width)
            search.add(requests)
        yield search.step(stepper) if search.requests else []


def decode_all(
    stepper: Stepper, search: Search, requests: Sequence[Request]
) -> list[list[Hypothesis]]:
    """Decode all requests side by side; return each one's hypotheses, best first."""
    waiting = [list(requests)]
    steps = run(stepper, search, lambda _: waiting.pop() if waiting else None)
    events = (event for step in steps for event in step)
    hypotheses = {
        event.request: event.hypotheses for event in events if isinstance(event, RequestFinished)
    }
    return [hypotheses[request] for request in requests]
