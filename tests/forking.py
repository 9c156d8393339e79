"""The program in processes of its own, forked from one that has imported what commands import.

A fresh Python needs a second for torch, and another one to train; a fork needs neither.
"""

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import IO, Any, NamedTuple, NoReturn, Self

_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
_LONGEST = 1 << 20  # bytes of an order


class _Order(NamedTuple):
    """What is to be started."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    in_terminal: bool
    before: list[Any]


class Forked:
    """A running program, with what tests use of a subprocess.Popen."""

    def __init__(self, status: int, pipes: Mapping[str, IO[bytes]]) -> None:
        self._status = status
        self.stdin, self.stdout, self.stderr = (pipes.get(name) for name in _STREAMS)
        self.pid = _receive(status)
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, which is minus the signal that killed it."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("transduce", timeout or 0.0)
            self.returncode = _receive(self._status)
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to a program that runs still."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it runs still."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, data: bytes = b"", *, timeout: float = 60) -> tuple[bytes, bytes]:
        """Write to stdin, close it, and return all of stdout and stderr.

        A program that takes too long is killed, and what it wrote is returned.
        """
        timer = Timer(timeout, self.kill)
        timer.start()
        with ThreadPoolExecutor(3) as pool:
            writing = pool.submit(self._write, data)
            out, err = pool.map(_all_of, (self.stdout, self.stderr))
            writing.result()
        self.wait()
        timer.cancel()
        return out, err

    def _write(self, data: bytes) -> None:
        if self.stdin is not None and not self.stdin.closed:
            with suppress(BrokenPipeError), self.stdin:
                self.stdin.write(data)

    def close(self) -> None:
        """Kill it, and close what is open."""
        self.kill()
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _send(status: int, number: int) -> None:
    with suppress(BrokenPipeError):
        os.write(status, number.to_bytes(4, "little", signed=True))


def _receive(status: int) -> int:
    data = os.read(status, 4)
    assert data, "the process that forks has ended"
    return int.from_bytes(data, "little", signed=True)


def _all_of(stream: IO[bytes] | None) -> bytes:
    if stream is None or stream.closed:
        return b""
    with stream:
        return stream.read()


class ForkServer:
    """The process that forks."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
                start_new_session=True,
            )

    def start(
        self,
        arguments: Sequence[object],
        *,
        environment: Mapping[str, str] | None = None,
        in_terminal: bool = False,
        before: Sequence[object] = (),
        **streams: Any,
    ) -> Forked:
        """Start the program; streams are pipes, or the files or numbers of files that are named.

        `in_terminal`: its stderr is the terminal of a session of its own. `before` is a function,
        as `package.module:function`, and its arguments: what the process calls first.
        """
        ours: dict[str, IO[bytes]] = {}
        streams = dict.fromkeys(_STREAMS, subprocess.PIPE) | streams
        ends = {name: _end(name, stream, ours) for name, stream in streams.items()}
        order = _Order(
            [*map(str, arguments)], dict(environment or os.environ), str(Path.cwd()), in_terminal,
            [*before],
        )  # fmt: skip
        text = json.dumps(order).encode() + b"\n"
        assert len(text) < _LONGEST
        status, theirs = os.pipe()
        socket.send_fds(self._orders, [text], [*(ends[name] for name in _STREAMS), theirs])
        for end in (theirs, *(ends[name] for name in ours)):
            os.close(end)
        return Forked(status, ours)

    def close(self) -> None:
        """End the process."""
        self._orders.close()
        self._process.wait()


def _end(name: str, stream: Any, ours: dict[str, IO[bytes]]) -> int:
    """Return the number of a stream's end for the program; that of a pipe is closed once sent."""
    if stream != subprocess.PIPE:
        return stream if isinstance(stream, int) else stream.fileno()
    reading, writing = os.pipe()
    ours[name] = os.fdopen(*((writing, "wb") if name == "stdin" else (reading, "rb")))
    return reading if name == "stdin" else writing


def _serve(number: int) -> None:
    import torch
    import torch._dynamo  # which optimizers import

    import cli.io.line_reader
    import cli.io.loading
    import cli.render.answers
    import cli.render.training  # noqa: F401 (with all that the commands import)
    import transformer.pipelines.session
    import transformer.training.run  # noqa: F401
    from cli import app

    torch.set_num_threads(1)
    gc.freeze()
    with socket.socket(fileno=number) as orders:
        while True:
            text, ends, _, _ = socket.recv_fds(orders, _LONGEST, 4)
            while text and not text.endswith(b"\n"):
                text += orders.recv(_LONGEST)
            if not text:
                return
            if os.fork() == 0:
                orders.close()
                _supervise(app.main, _Order(*json.loads(text)), ends)
            for end in ends:
                os.close(end)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _supervise(main: Any, order: _Order, ends: list[int]) -> NoReturn:
    """Run the program in a child, and tell of its number and its end."""
    *streams, status = ends
    child = os.fork()
    if child == 0:
        os.close(status)
        _become(main, order, streams)
    for end in streams:
        os.close(end)
    _send(status, child)
    _send(status, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


def _become(main: Any, order: _Order, streams: list[int]) -> NoReturn:
    for number, end in enumerate(streams):
        os.dup2(end, number)
        os.close(end)
    if order.in_terminal:
        os.setsid()
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(order.environment)
    os.chdir(order.folder)
    sys.argv = ["transduce", *order.arguments]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (a descriptor)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if order.before:
        module, _, function = order.before[0].partition(":")
        getattr(importlib.import_module(module), function)(*order.before[1:])
    sys.exit(main())


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
