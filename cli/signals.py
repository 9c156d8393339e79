"""Ctrl-C and SIGTERM as a request: the step is finished and saved before leaving."""

import signal
from types import FrameType, TracebackType

from .console import say


class StopRequest:
    """True once a signal has come. A second Ctrl-C leaves at once."""

    def __init__(self) -> None:
        self._asked = False
        self._handlers: dict[signal.Signals, object] = {}

    def __call__(self) -> bool:
        return self._asked

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            self._handlers[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True
        say("finishing the step and saving; Ctrl-C again leaves at once")
