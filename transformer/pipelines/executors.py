"""Executors of a pipeline's requests: decode steps, or single forward passes."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol

import torch

from ..decoding.request import Hypothesis, Request, RequestFinished
from ..decoding.scheduler import Scheduler, batch_cost
from .records import RequestT, ResultT


class Executor(Protocol[RequestT, ResultT]):
    """Computation of a result for each request, in batches and in any order."""

    @property
    def wants_requests(self) -> bool:
        """True if the next window of requests may be submitted."""
        ...

    def submit(self, requests: Sequence[RequestT]) -> None:
        """Enqueue a window of requests."""
        ...

    def resubmit(self, request: RequestT) -> None:
        """Enqueue one more request, ahead of those that wait."""
        ...

    def results(self, timeout: float | None) -> list[tuple[RequestT, ResultT]]:
        """Return new results, possibly none; wait for some, `timeout` seconds at most."""
        ...


class DecodingExecutor:
    """Decode steps by a scheduler; a result is a request's hypotheses, best first."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._last_window, self._longest_first = 0, True

    @property
    def wants_requests(self) -> bool:
        """True once all windows but the last have entered batches."""
        return self._scheduler.num_waiting <= self._last_window

    def submit(self, requests: Sequence[Request]) -> None:
        """Enqueue a window, sorted by length.

        Windows are descending and ascending in turn, so that lengths are similar where they meet.
        """
        ordered = sorted(requests, key=batch_cost, reverse=self._longest_first)
        self._last_window, self._longest_first = len(ordered), not self._longest_first
        self._scheduler.submit(ordered)

    def resubmit(self, request: Request) -> None:
        """See Executor."""
        self._scheduler.submit([request], first=True)

    def results(self, timeout: float | None) -> list[tuple[Request, list[Hypothesis]]]:
        """See Executor. Raises an engine's error."""
        events = self._scheduler.wait(timeout)
        return [(e.request, e.hypotheses) for e in events if isinstance(e, RequestFinished)]


class ForwardExecutor(Generic[RequestT, ResultT]):
    """One forward pass for each batch of requests of similar length, in the caller's thread."""

    def __init__(
        self,
        compute: Callable[[Sequence[RequestT]], Sequence[ResultT]],
        length: Callable[[RequestT], int],
        *,
        budget: int,
    ) -> None:
        """Compute batches of at most `budget` tokens: requests times the length of the longest."""
        self._compute, self._length, self._budget = compute, length, budget
        self._waiting: list[RequestT] = []

    @property
    def wants_requests(self) -> bool:
        """True once all requests are computed."""
        return not self._waiting

    def submit(self, requests: Sequence[RequestT]) -> None:
        """See Executor."""
        self._waiting = sorted([*self._waiting, *requests], key=self._length, reverse=True)

    def resubmit(self, request: RequestT) -> None:
        """See Executor."""
        self._waiting.insert(0, request)

    @torch.inference_mode()
    def results(self, timeout: float | None) -> list[tuple[RequestT, ResultT]]:
        """Return the results of the next batch."""
        del timeout
        if not self._waiting:
            return []
        size = max(1, self._budget // max(1, self._length(self._waiting[0])))
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        return list(zip(batch, self._compute(batch), strict=True))
