"""Ctrl-C and SIGTERM as a request to finish the step and save before exiting."""

import signal
from types import FrameType

from .console import print_notice


class StopRequest:
    """A flag that is set by SIGINT, SIGTERM and SIGUSR1.

    Before `arm`, when there is nothing to save yet, a signal raises KeyboardInterrupt at once; so
    does a second Ctrl-C.
    """

    def __init__(self) -> None:
        self._requested = self._deferring = False
        self._handlers: dict[signal.Signals, object] = {}

    def __call__(self) -> bool:
        """Return True once a signal has arrived."""
        return self._requested

    def defer_signals(self) -> None:
        """Defer signals from now on, for there is something to save."""
        self._deferring = True

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            self._handlers[number] = signal.signal(number, self._handle_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self._deferring or (self._requested and number == signal.SIGINT):
            raise KeyboardInterrupt
        self._requested = True
        print_notice("finishing the step and saving; press Ctrl-C again to exit at once")
