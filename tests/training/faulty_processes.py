"""The program in fresh children, each of which is killed or stopped at a step of its own choice.

A process imports everything once and forks; the audit events of Python number what a child does to
the files below a folder, so "at event k" is the same moment every time, up to the threads.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree"}
LIMIT = 600  # seconds after which a child hangs, on a busy machine too


class Ended(NamedTuple):
    """How a command ended; `code` is minus the signal that killed it."""

    code: int
    out: str
    err: str
    events: int  # on files below the folder


class Program:
    """Runs commands one after another, with a fault or without."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
        )  # fmt: skip

    def run(
        self, *arguments: object, folder: object = "", signal_number: int = 0, at: int = 0
    ) -> Ended:
        """What becomes of a command that gets a signal at its `at`-th event below the folder."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = [[str(word) for word in arguments], str(folder), int(signal_number), at]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _serve() -> None:
    import torch
    import torch._dynamo  # which optimizers import

    import cli.io.loading
    import cli.render.answers
    import cli.render.training  # noqa: F401 (with all that the commands import)
    import transformer.training.run  # noqa: F401
    from cli import app

    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(_fork(app.main, *json.loads(line))), flush=True)


def _fork(main: Any, arguments: list[str], folder: str, number: int, at: int) -> Ended:
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: Path(scratch) / name for name in ("out", "err", "events")}
        child = os.fork()
        if child == 0:
            _redirect(files)
            sys.argv = ["transduce", *arguments]
            _watch(files["events"], folder, number, at)
            main()
        timer = threading.Timer(LIMIT, os.kill, (child, signal.SIGKILL))
        timer.start()
        _, status = os.waitpid(child, 0)
        timer.cancel()
        texts = {name: file.read_text("utf-8", "replace") for name, file in files.items()}
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, texts["out"], texts["err"], texts["events"].count("."))


def _redirect(files: dict[str, Path]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(files[name], flags), descriptor)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 (a descriptor)


def _watch(file: Path, folder: str, number: int, at: int) -> None:
    """Count the events below the folder in a file, and send the signal at one of them."""
    events, count = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 0

    def audit(event: str, values: tuple[Any, ...]) -> None:
        nonlocal count
        if event in EVENTS and folder and str(values[0]).startswith(folder):
            count += 1
            os.write(events, b".")
            if count == at:
                os.kill(os.getpid(), number)

    sys.addaudithook(audit)


if __name__ == "__main__":
    _serve()
