"""A copy of the project, into which faults are put one at a time, and its tests.

Tests run in processes that are forked from one which has imported the libraries already: that
takes longer than the tests of a room.
"""

import multiprocessing
import os
import re
import shutil
import signal
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
_KNOWN = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"  # the libraries are
_OPTIONS = ("-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "-W", _KNOWN)
_LIBRARIES = ["msgspec", "pytest", "safetensors.torch", "tokenizers", "torch",
              "transformers.generation"]  # fmt: skip
SLOW = 180.0  # seconds for a room without a fault

_processes = multiprocessing.get_context("forkserver")


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
        began = time.monotonic()
        output = self.folder.with_suffix(".txt")
        process = _processes.Process(target=_run_tests, args=(self.folder, output, list(tests)))
        process.start()
        process.join(limit)
        code = process.exitcode
        with suppress(ProcessLookupError):  # the tests, and what they have started
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        seconds = time.monotonic() - began
        if code is None:
            return Result(f"hung: killed after {limit:.0f} s", seconds)
        return Result(_noticed(code, output.read_text(encoding="utf-8")), seconds)

    def test_with(self, fault: Fault, *, limit: float) -> Result:
        """Run a fault's tests with the fault in its place, and take it out again."""
        path = self.folder / fault.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(fault.apply(whole), encoding="utf-8")
        try:
            return self.test(fault.tests, limit=limit)
        finally:
            path.write_text(whole, encoding="utf-8")


def prepare() -> None:
    """Begin the process that others are forked from."""
    # Without bytecode: it is told by size and second, which two faults can have in common.
    os.environ.update(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
    # Tests that are over are ended without tidying up, which the system does.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    _processes.set_forkserver_preload(_LIBRARIES)


def _run_tests(folder: Path, output: Path, tests: list[str]) -> None:
    """Be a fresh pytest in the copy: nothing of the project is imported from where it came."""
    os.setsid()
    with output.open("wb") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    os.chdir(folder)
    sys.path = [str(folder), *(place for place in sys.path if Path(place).resolve() != ROOT)]
    packages = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    import pytest

    place = folder.with_suffix(".tmp")  # of its own: others tidy up what they share
    code = int(pytest.main([*_OPTIONS, f"--basetemp={place}", *tests]))
    sys.stdout.flush()
    os._exit(code)  # whatever threads a fault has left behind


def _noticed(code: int, output: str) -> str | None:
    if code == _PASSED:
        return None
    found = _FAILED.search(output)
    if code < 0:
        return f"died of signal {-code}"
    if code not in {_FAILURES, _INTERRUPTED} or found is None:
        raise RuntimeError(f"pytest ended with {code}:\n{output}")
    return found[1] if code == _FAILURES else f"{found[1]} (cannot be imported)"
