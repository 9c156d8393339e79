"""A loader of micro-batches, which a thread makes ahead of their use."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from ..inputs import Batch
from .batches import Data

_MAX_AHEAD = 3  # batches that are being made or wait to be used


def pins_memory(device: torch.device) -> bool:
    """Return True for a CUDA device whose runtime is initialized and can pin memory.

    A stand-in for such a device, as in tests, has no runtime.
    """
    ready: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return ready and device.type == "cuda"


class BatchLoader:
    """The micro-batches of training steps in order, each moved to the device when it is taken.

    Batches are pure functions of their numbers, so reading ahead changes no result. Only a few are
    in memory, however many a step has.
    """

    def __init__(self, data: Data, *, accumulate: int, device: torch.device) -> None:
        self._data, self._accumulate, self._device = data, accumulate, device
        self._pins_memory = pins_memory(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._pending: deque[Future[tuple[int, Batch]]] = deque()
        self._next = 0  # number of the batch that is taken next

    def step(self, number: int) -> tuple[int, Iterator[Batch]]:
        """Return the number of target tokens of a step's batches together, and the batches.

        Steps count from 0.
        """
        first = number * self._accumulate
        if first != self._next:  # a new or a resumed run
            self._pending.clear()
            self._next = first
        self._read_ahead()
        tokens, _ = self._pending[0].result()
        return tokens, (self._next_batch() for _ in range(self._accumulate))

    def _next_batch(self) -> Batch:
        """Take the next batch and have another made."""
        _, batch = self._pending.popleft().result()
        self._next += 1
        self._read_ahead()
        return batch.to(self._device)

    def _read_ahead(self) -> None:
        while len(self._pending) < _MAX_AHEAD:
            number = self._next + len(self._pending)
            self._pending.append(self._thread.submit(self._make_batch, number))

    def _make_batch(self, number: int) -> tuple[int, Batch]:
        """Make a batch; for the first of a step, also count the step's target tokens."""
        step = range(number, number + self._accumulate) if number % self._accumulate == 0 else ()
        tokens = sum(self._data.num_targets(each) for each in step)
        batch = self._data.batch(number)
        return tokens, batch.pin_memory() if self._pins_memory else batch
