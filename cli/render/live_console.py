"""The terminal on stderr, as rich draws on it."""

from typing import TextIO, cast

from rich.console import Console

from ..console import LastingStderr, wants_plain_text


def stderr_console() -> Console:
    """Return the terminal on stderr, without bold text and colours if the user wants none."""
    file = cast("TextIO", LastingStderr())
    return Console(file=file, highlight=False, color_system=None if wants_plain_text() else "auto")
