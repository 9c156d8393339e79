"""Loading a folder of GPT-2's size: seconds and memory, beside transformers; checking its sums.

Each load is a process of its own. Time and memory count from after the import of torch and of the
library itself; memory is the largest resident set above what stood before, so a file that is
mapped counts as much of it as is touched. `used` adds one forward pass, which touches all.

A published folder has no sums. Those of one of ours are checked with an empty cache, with the cache
that this leaves, and without trust in it.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.table import Table

from checkpoints import WEIGHTS, verify_checksums, write_folder
from checkpoints.checksum_cache import MIN_AGE_NS, cache_file

_ROUNDS = 5
_PRELUDE = r"""
import json, re, sys, time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(2)
ids = torch.arange(32)[None]
def peak():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024
"""
_LOADS = {
    "transduce": """
from transformer.loading import build, describe
base, started = peak(), time.perf_counter()
model = build(describe(Path(sys.argv[1])))
""",
    "transformers": """
import transformers
from transformers import GPT2LMHeadModel
transformers.utils.logging.disable_progress_bar()
base, started = peak(), time.perf_counter()
model = GPT2LMHeadModel.from_pretrained(sys.argv[1])
""",
}
_REPORT = """
loaded, seconds = peak() - base, time.perf_counter() - started
with torch.inference_mode():
    model(ids)
print(json.dumps([seconds, loaded, peak() - base]))
"""


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        size = _make(Path(folder))
        seen: dict[str, list[list[float]]] = {name: [] for name in _LOADS}
        for number in range(_ROUNDS + 1):
            for name, load in _LOADS.items():
                found = _run(load, folder)
                if number:  # the first fills the page cache
                    seen[name].append(found)
        checks = _check(Path(folder))
    _show({name: _medians(rows) for name, rows in seen.items()}, size)
    _show_checks(checks, size)


def _make(folder: Path) -> int:
    """GPT-2's sizes with random weights; how many bytes they take."""
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    return (folder / WEIGHTS).stat().st_size


def _run(load: str, folder: str) -> list[float]:
    command = [sys.executable, "-c", _PRELUDE + load + _REPORT, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _check(published: Path) -> dict[str, float]:
    """Medians of seconds that it takes to check the same weights in a folder with a manifest."""
    folder = published / "ours"
    write_folder(folder, lambda place: shutil.copy(published / WEIGHTS, place))
    time.sleep(MIN_AGE_NS / 1e9 + 0.1)  # younger files are not remembered
    seen: dict[str, list[float]] = {"first": [], "later": [], "without trust": []}
    with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(published / "cache")}):
        for _ in range(_ROUNDS):
            cache_file().unlink(missing_ok=True)
            for name, seconds in seen.items():
                started = time.perf_counter()
                verify_checksums(folder, trust_cache=name != "without trust")
                seconds.append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in seen.items()}


def _medians(rows: list[list[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def _show(medians: dict[str, list[float]], size: int) -> None:
    table = Table(title=f"Loading {size / 2**20:,.0f} MiB, medians of {_ROUNDS}")
    for column in ("", "seconds", "memory, loaded", "memory, used"):
        table.add_column(column, justify="right" if column else "left")
    for name, (seconds, loaded, used) in medians.items():
        cells = [f"{memory / 2**20:,.0f} MiB ({memory / size:.2f})" for memory in (loaded, used)]
        table.add_row(name, f"{seconds:.3f}", *cells)
    Console().print(table)


def _show_checks(medians: dict[str, float], size: int) -> None:
    table = Table(title=f"Checking the sums of {size / 2**20:,.0f} MiB, medians of {_ROUNDS}")
    for name in medians:
        table.add_column(name, justify="right")
    table.add_row(*(f"{seconds:.4f} s" for seconds in medians.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
