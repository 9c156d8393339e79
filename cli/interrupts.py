"""Ctrl-C while the program has nothing to tidy: in its imports, and after its last line."""

import os
import signal
from types import FrameType

INTERRUPTED = 130  # the exit code, as shells have it
_ERASE = b"\r\x1b[K"  # the line on which the cursor is
_IMPORTING = "<frozen importlib._bootstrap>"  # the file of frames below which a module is run


def exit_on_interrupt() -> None:
    """End the program at once on Ctrl-C, by one line, unless something else answers to it."""
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _raise):
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """Raise KeyboardInterrupt on Ctrl-C from now on, where the program would have ended at once.

    In an import it ends nevertheless: libraries that are half imported catch the exception, and
    fail in other ways.
    """
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    below = frame
    while below is not None:
        if below.f_code.co_filename == _IMPORTING:
            _exit(number, frame)
        below = below.f_back
    raise KeyboardInterrupt


def _exit(number: int, frame: FrameType | None) -> None:
    del number, frame
    try:
        is_drawn = os.isatty(2) and os.environ.get("TERM") != "dumb"
        os.write(2, (_ERASE if is_drawn else b"") + b"transduce: interrupted\n")
    finally:
        os._exit(INTERRUPTED)
