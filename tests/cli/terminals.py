"""Terminals for tests: an emulator that keeps what scrolls off, and programs in it."""

import fcntl
import io
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyte

from cli.render.live_console import LiveConsole
from tests.forking import Forked, ForkServer


class _Screen(pyte.Screen):
    """A screen that keeps the lines that scroll off."""

    def __init__(self, columns: int, rows: int) -> None:
        self.scrolled: list[str] = []
        super().__init__(columns, rows)
        self.set_mode(pyte.modes.LNM)  # the line discipline makes CRLF of LF

    def line(self, number: int) -> str:
        row = self.buffer[number]
        return "".join(row[n].data for n in range(max(row, default=-1) + 1)).rstrip()

    def index(self) -> None:
        if self.cursor.y == self.lines - 1:
            self.scrolled.append(self.line(0))
        super().index()


class Terminal(io.StringIO):
    """A terminal of some size: what is written appears in `lines`, as a person sees it."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.screen = _Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return len(text)

    def isatty(self) -> bool:
        return True

    @property
    def console(self) -> LiveConsole:
        """A console that draws here."""
        return LiveConsole(
            file=self,
            force_terminal=True,
            width=self.screen.columns,
            height=self.screen.lines,
            _environ={},
        )

    @property
    def display(self) -> list[str]:
        """The lines on the screen, without those that are empty at its end."""
        return _without_end([self.screen.line(n) for n in range(self.screen.lines)])

    @property
    def lines(self) -> list[str]:
        """All lines: those that have scrolled off, and the screen's."""
        return [*self.screen.scrolled, *self.display]

    @property
    def text(self) -> str:
        """All lines, joined where the terminal or the program wrapped them."""
        return " ".join(" ".join(self.lines).split())


def _without_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def _start(
    arguments: Sequence[object],
    environment: Mapping[str, str],
    streams: Mapping[str, Any],
    server: ForkServer | None,
) -> "subprocess.Popen[bytes] | Forked":
    """Start the program; its stderr is the terminal of its session."""
    if server is not None:
        return server.start(arguments, environment=environment, in_terminal=True, **streams)
    return subprocess.Popen(
        [sys.executable, "-m", "cli.app", *map(str, arguments)],
        **streams,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(streams["stderr"], termios.TIOCSCTTY, 0),  # noqa: PLW1509 (no thread)
    )


class Program:
    """The program in a terminal of its own; by default all its streams are that terminal.

    Without a server that forks, it is started by Python.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        server: ForkServer | None = None,
        **streams: object,
    ) -> None:
        self._master, end = os.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.terminal, self.raw = Terminal(columns, rows), b""
        kept = {name: os.environ[name] for name in os.environ if name not in ("COLUMNS", "LINES")}
        self.process = _start(
            arguments,
            {**kept, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color", **(environment or {})},
            dict.fromkeys(("stdin", "stdout", "stderr"), end) | streams,
            server,
        )
        os.close(end)

    def type(self, keys: str) -> None:
        """Type on the terminal's keyboard."""
        os.write(self._master, keys.encode())

    def wait_for(self, shown: Callable[[Terminal], bool], *, seconds: float = 300) -> None:
        """Read what is written until the terminal shows something."""
        end = time.monotonic() + seconds
        while not shown(self.terminal):
            assert self._read(end - time.monotonic()), f"ended early: {self.terminal.lines}"
            assert time.monotonic() < end, f"not shown: {self.terminal.lines}"

    def wait(self, *, seconds: float = 300) -> int:
        """Read all that is written to the end; return the exit code."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            assert time.monotonic() < end, f"goes on: {self.terminal.lines}"
        code = self.process.wait(timeout=10)
        os.close(self._master)
        return code

    def _read(self, seconds: float) -> bool:
        """Feed the terminal with what comes next; return False at the end."""
        if not select.select([self._master], [], [], max(0.0, seconds))[0]:
            return True
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # as Linux tells that the last program has closed the terminal
            return False
        self.raw += data
        self.terminal.write(data.decode("utf-8", "replace"))
        return bool(data)
