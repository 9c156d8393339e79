"""Engines: a search and its step function, which requests join and leave as they run."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from .request import Event, Hypothesis, Request, RequestFinished
from .search import Search
from .steppers import Stepper


class Engine(NamedTuple):
    """A batch of requests: a search, and the stepper whose logits it reads."""

    stepper: Stepper
    search: Search

    @property
    def width(self) -> int:
        """Rows of each request."""
        return self.search.width

    @property
    def requests(self) -> list[Request]:
        """Unfinished requests."""
        return self.search.requests

    def can_take(self, request: Request) -> bool:
        """Return True: any request may be admitted."""
        del request
        return True

    def admit(self, requests: Sequence[Request]) -> None:
        """Add requests to the batch."""
        self.stepper.admit(requests, self.search.width)
        self.search.add(requests)

    def remove(self, requests: Collection[Request]) -> None:
        """Drop requests from the batch, unfinished, and free their rows."""
        self.search.remove(requests, self.stepper)

    def step(self) -> list[Event]:
        """Generate one more token of each sequence; finished requests leave the batch."""
        return self.search.step(self.stepper) if self.search.requests else []


def decode_all(
    stepper: Stepper, search: Search, requests: Sequence[Request]
) -> list[list[Hypothesis]]:
    """Decode all requests side by side; return each one's hypotheses, best first."""
    engine = Engine(stepper, search)
    hypotheses: dict[Request, list[Hypothesis]] = {}
    if requests:
        engine.admit(requests)
    while search.requests:
        finished = (event for event in engine.step() if isinstance(event, RequestFinished))
        hypotheses.update((event.request, event.hypotheses) for event in finished)
    return [hypotheses[request] for request in requests]
