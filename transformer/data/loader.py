"""Micro-batches of one step after another, made by a thread ahead of their use."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from .batches import Batch, Data

_AHEAD = 3  # batches that are made or waiting, whichever of them the step is at


def pins_memory(device: torch.device) -> bool:
    """Return True for a CUDA device, where CUDA's runtime is there to pin memory: what only stands
    in for one, as in tests, has none."""
    ready: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return ready and device.type == "cuda"


class BatchLoader:
    """The micro-batches of training steps, in order, each on its device when it is asked for.

    They are pure functions of their numbers, so reading ahead changes no result. No more than a few
    batches are in memory, however many a step has.
    """

    def __init__(self, data: Data, *, accumulate: int, device: torch.device) -> None:
        self._data, self._accumulate, self._device = data, accumulate, device
        self._pin = pins_memory(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._waiting: deque[Future[tuple[int, Batch]]] = deque()
        self._next = 0  # the number of the batch that comes next

    def step(self, number: int) -> tuple[int, Iterator[Batch]]:
        """Return the target tokens of all of a step's batches together, and the batches. Steps
        count from 0."""
        first = number * self._accumulate
        if first != self._next:  # a new run, or one that is resumed
            self._waiting.clear()
            self._next = first
        self._read_ahead()
        tokens, _ = self._waiting[0].result()
        return tokens, (self._take() for _ in range(self._accumulate))

    def _take(self) -> Batch:
        _, batch = self._waiting.popleft().result()
        self._next += 1
        self._read_ahead()
        return batch.to(self._device)

    def _read_ahead(self) -> None:
        while len(self._waiting) < _AHEAD:
            number = self._next + len(self._waiting)
            self._waiting.append(self._thread.submit(self._make, number))

    def _make(self, number: int) -> tuple[int, Batch]:
        """Make a batch, and count its step's tokens where it is the first of a step."""
        step = range(number, number + self._accumulate) if number % self._accumulate == 0 else ()
        tokens = sum(self._data.target_tokens(each) for each in step)
        batch = self._data.batch(number)
        return tokens, batch.pinned() if self._pin else batch
