"""A copy of the project, into which faults are put one at a time, and its tests."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .faults import ROOT, Fault

_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_PASSED, _FAILURES, _INTERRUPTED = 0, 1, 2  # pytest's exit codes
SLOW = 180.0  # seconds for a room without a fault


class Result(NamedTuple):
    """What the tests said."""

    noticed: str | None  # by which test, or how; None: all passed
    seconds: float


class Copy:
    """The project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)

    def test(self, tests: Sequence[str], *, limit: float = SLOW) -> Result:
        """Run tests up to the first that fails. One that hangs counts as having noticed."""
        # Without bytecode: it is told by size and second, which two faults can have in common.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        options = ["-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return Result(f"hung: killed after {limit:.0f} s", time.monotonic() - began)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return Result(_noticed(process.returncode, output), time.monotonic() - began)

    def test_with(self, fault: Fault, *, limit: float) -> Result:
        """Run a fault's tests with the fault in its place, and take it out again."""
        path = self.folder / fault.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(fault.apply(whole), encoding="utf-8")
        try:
            return self.test(fault.tests, limit=limit)
        finally:
            path.write_text(whole, encoding="utf-8")


def _noticed(code: int, output: str) -> str | None:
    if code == _PASSED:
        return None
    found = _FAILED.search(output)
    if code not in {_FAILURES, _INTERRUPTED} or found is None:
        raise RuntimeError(f"pytest ended with {code}:\n{output}")
    return found[1] if code == _FAILURES else f"{found[1]} (cannot be imported)"
