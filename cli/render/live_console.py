"""The terminal on stderr, as rich draws on it, and a view that stays below what is printed."""

import threading
from typing import Any, TextIO, cast

from rich.console import Console, RenderableType
from rich.live import Live

from ..console import LastingStderr, wants_plain_text

_SECONDS = 0.25  # from one drawing of a view to the next


class LiveConsole(Console):
    """A console on which a print ends before the next begins, whatever thread it is of.

    Each begins where the view was drawn last, which rich reads before it draws: by two at once,
    lines above the view would be erased.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.printing = threading.RLock()

    def print(self, *objects: Any, **options: Any) -> None:
        """See Console."""
        with self.printing:
            super().print(*objects, **options)


class LiveView(Live):
    """A view below all that is printed, drawn four times a second.

    Whatever draws holds the console before rich's own lock, as those that print do.
    """

    def __init__(self, view: RenderableType, console: LiveConsole) -> None:
        super().__init__(view, console=console, auto_refresh=False)
        self._printing, self._ended = console.printing, threading.Event()
        self._thread = threading.Thread(target=self._refresh_again, daemon=True)

    def start(self, refresh: bool = True) -> None:
        """Draw it for the first time."""
        with self._printing:
            super().start(refresh)
        self._thread.start()

    def stop(self) -> None:
        """Draw it for the last time; it stays."""
        self._ended.set()
        if self._thread.is_alive():  # not where the first drawing failed
            self._thread.join()
        with self._printing:
            super().stop()

    def _refresh_again(self) -> None:
        while not self._ended.wait(_SECONDS):
            with self._printing:
                self.refresh()


def stderr_console() -> LiveConsole:
    """Return the terminal on stderr, without bold text and colours if the user wants none."""
    file = cast("TextIO", LastingStderr())
    system = None if wants_plain_text() else "auto"
    return LiveConsole(file=file, highlight=False, color_system=system)
