"""Ctrl-C, SIGTERM and a closed terminal as a request to finish the step and save before exiting."""

import os
import signal
from contextlib import suppress
from types import FrameType

from .console import print_notice

# SIGHUP comes when a terminal is closed or its connection breaks; SIGUSR1 and SIGXCPU are the
# warnings of batch systems and of `ulimit -t`.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU)


class StopRequest:
    """A flag that is set by SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGXCPU.

    Until `defer_signals`, when there is nothing to save yet, a signal raises KeyboardInterrupt at
    once; so does a second Ctrl-C. A SIGHUP that is ignored stays ignored, as `nohup` wants it.
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
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._handlers[number] = signal.signal(number, self._handle_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        first, self._requested = not self._requested, True
        # others may come in pairs, from a shell and the system, and would disturb what is tidied
        if (first and not self._deferring) or (not first and number == signal.SIGINT):
            raise KeyboardInterrupt
        if first:
            _print("finishing the step and saving", interactive=number == signal.SIGINT)


def _print(text: str, *, interactive: bool) -> None:
    """Print a notice from within a handler, which may have come in the midst of another one."""
    text += "; press Ctrl-C again to exit at once" if interactive else ""
    try:
        print_notice(text)
    except RuntimeError:  # stderr lets nobody in who is in it already
        with suppress(OSError):
            os.write(2, f"transduce: {text}\n".encode())
