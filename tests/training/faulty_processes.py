"""The program in fresh children, each of which is killed or stopped at a step of its own choice.

The audit events of Python number what a child does to the files below a folder, so "at event k" is
the same moment every time, up to the threads.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.forking import ForkServer

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

    def __init__(self, server: ForkServer) -> None:
        self._server = server

    def run(
        self, *arguments: object, folder: object = "", signal_number: int = 0, at: int = 0
    ) -> Ended:
        """What becomes of a command that gets a signal at its `at`-th event below the folder."""
        with tempfile.TemporaryDirectory() as scratch:
            files = {name: Path(scratch) / name for name in ("out", "err", "events")}
            order = [str(files["events"]), str(folder), int(signal_number), at]
            with (
                Path(os.devnull).open("rb") as nothing,
                files["out"].open("ab") as out,
                files["err"].open("ab") as err,
                self._server.start(
                    arguments, stdin=nothing, stdout=out, stderr=err,
                    before=[f"{__name__}:watch", *order],
                ) as running,
            ):  # fmt: skip
                code = running.wait(LIMIT)
            texts = {name: file.read_text("utf-8", "replace") for name, file in files.items()}
        return Ended(code, texts["out"], texts["err"], texts["events"].count("."))


def watch(file: str, folder: str, number: int, at: int) -> None:
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
