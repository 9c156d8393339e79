"""The program in a fresh child for each command, with what it cost: of a process that has imported
everything once, so that a child takes as long as its command."""

import faulthandler
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

LIMIT = 20  # seconds after which a child hangs
_ROOM = 4 << 30  # bytes of address space: no child may take the machine with it


class Ended(NamedTuple):
    """How a command ended; `code` is minus the signal that killed it."""

    code: int
    out: str
    err: str
    seconds: float  # of processor time
    mebibytes: float  # at its peak, above what it started with


class Forks:
    """Runs commands one after another."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def run(self, *arguments: object) -> Ended:
        """What the program does when given these arguments, and nothing on stdin."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(word) for word in arguments]) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _serve() -> None:
    import resource

    import torch

    import cli.io.line_reader
    import cli.io.loading
    import cli.render.answers  # noqa: F401 (with all that the commands import)
    from cli import app

    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        print(json.dumps(_fork(json.loads(line), app.main)), flush=True)


def _fork(arguments: Sequence[str], main: Any) -> Ended:
    pipes = {name: os.pipe() for name in ("out", "err", "start")}
    child = os.fork()
    if child == 0:
        _become(arguments, main, {name: ends[1] for name, ends in pipes.items()})
    for ends in pipes.values():
        os.close(ends[1])
    texts = _collect({name: ends[0] for name, ends in pipes.items()}, child)
    _, status, usage = os.wait4(child, 0)
    grown = (usage.ru_maxrss - int(texts["start"] or 0)) / 1024
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, texts["out"], texts["err"], usage.ru_utime + usage.ru_stime, grown)


def _become(arguments: Sequence[str], main: Any, ends: dict[str, int]) -> None:
    import resource

    faulthandler.register(signal.SIGUSR1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, end in ((0, nothing), (1, ends["out"]), (2, ends["err"])):
        os.dup2(end, descriptor)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 (a descriptor)
    sys.argv = ["transduce", *arguments]
    status = dict(row.split(":") for row in Path("/proc/self/status").read_text().splitlines())
    room = int(status["VmSize"].split()[0]) * 1024 + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    os.write(ends["start"], status["VmRSS"].split()[0].encode())
    os.close(ends["start"])
    main()


def _collect(ends: dict[str, int], child: int) -> dict[str, str]:
    """All that is written before the ends close; a child that takes too long is killed."""
    found, deadline = dict.fromkeys(ends, b""), time.monotonic() + LIMIT
    open_ends = {end: name for name, end in ends.items()}
    while open_ends:
        ready, _, _ = select.select(open_ends, [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGUSR1)  # its stack, on stderr
            time.sleep(0.5)
            os.kill(child, signal.SIGKILL)
            deadline += LIMIT
        for end in ready:
            data = os.read(end, 1 << 16)
            found[open_ends[end]] += data
            if not data:
                del open_ends[end]
                os.close(end)
    return {name: data.decode("utf-8", "replace") for name, data in found.items()}


if __name__ == "__main__":
    _serve()
