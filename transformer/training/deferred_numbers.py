"""Numbers that a device has computed, read by the host without waiting for the device."""

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from ..data import pins_memory


class _Transfer(NamedTuple):
    """Numbers on their way to the host."""

    host: Tensor
    arrived: "torch.cuda.Event | None"  # None: the copy is complete


class DeferredNumbers:
    """A queue of small tensors on their way from the device to the host.

    On a GPU each is copied into pinned memory asynchronously and read one step later, so that the
    GPU never runs out of work; on a CPU it can be read at once.
    """

    def __init__(self, device: torch.device) -> None:
        self._pin = pins_memory(device)
        self._transfers: deque[_Transfer] = deque()

    def put(self, numbers: Tensor) -> None:
        """Start copying a tensor to the host."""
        host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=self._pin)
        host.copy_(numbers, non_blocking=True)
        arrived = None
        if self._pin:
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(torch.cuda.current_stream(numbers.device))
        self._transfers.append(_Transfer(host, arrived))

    def take(self, *, flush: bool = False) -> list[list[float]]:
        """Return the numbers sent so far, in order; on a GPU all but the latest unless `flush`."""
        held_back = 1 if self._pin and not flush else 0
        numbers: list[list[float]] = []
        while len(self._transfers) > held_back:
            host, arrived = self._transfers.popleft()
            if arrived is not None:
                arrived.synchronize()
            numbers.append(host.tolist())
        return numbers
