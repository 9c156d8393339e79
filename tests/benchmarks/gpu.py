"""Speed on a GPU: training, decoding, and the share of what a matrix product reaches there.

python -m tests.benchmarks.gpu [--text FILE] [--quick [--device cpu]]
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from tests.benchmarks.gpu_parts import PARTS, Row, Sizes, quick

SECONDS = 470.0  # for all parts together


def measured(name: str, limit: float, options: list[str]) -> list[Row]:
    """A part's rows, from a process that is ended at its limit: a compiler may take any time."""
    program = [sys.executable, "-m", "tests.benchmarks.gpu", "--part", name, *options]
    try:
        done = subprocess.run(program, check=False, stdout=subprocess.PIPE, timeout=limit)
    except subprocess.TimeoutExpired as late:
        print(f"{name}: not done after {limit:.0f} s", file=sys.stderr)
        lines = (late.stdout or b"").splitlines()
    else:
        lines = done.stdout.splitlines()
        if done.returncode:
            print(f"{name}: ended with code {done.returncode}", file=sys.stderr)
    return [Row(*json.loads(line)) for line in lines if line.startswith(b"[")]


def show(rows: list[Row], device: str, seconds: float) -> None:
    """Print the table; a training's share is that of the peak, as in arXiv 2204.02311."""
    table = Table(title=f"{device}, torch {torch.__version__}")
    for title in ("", "by", "rate", "", "of the peak"):
        table.add_column(title, justify="right" if title in {"rate", "of the peak"} else "left")
    peak = next((row.value for row in rows if row.unit == "TFLOP/s"), None)
    task = ""
    for row in rows:
        share = f"{row.value * row.flops / 1e12 / peak:.1%}" if peak and row.flops else ""
        value = f"{row.value:,.0f}" if row.value >= 100 else f"{row.value:,.3g}"
        table.add_row("" if row.task == task else row.task, row.contestant, value, row.unit, share)
        task = row.task
    console = Console(width=120)
    console.print(table)
    console.print(f"medians of several repeats after warm-up; {seconds:.0f} s in all")


def main() -> int:
    """Print the table. Returns 1 without CUDA."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, help="to train on, for a validation loss")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try it")
    parser.add_argument("--device", default="cuda", help="cpu with --quick alone")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        print(f"benchmarks.gpu: no CUDA here (torch {torch.__version__})")
        return 1
    if asked.device != "cuda" and not asked.quick:
        print("benchmarks.gpu: a CPU is for --quick alone")
        return 1
    device = torch.device(asked.device)
    sizes = quick(device, asked.text) if asked.quick else Sizes(device, asked.text)
    if asked.part:
        for row in PARTS[asked.part][1](sizes):
            print(json.dumps(row), flush=True)
        return 0
    options = [*(["--quick"] if asked.quick else []), "--device", asked.device]
    options += ["--text", str(asked.text)] if asked.text else []
    started, rows = time.perf_counter(), list[Row]()
    for name, (limit, _) in PARTS.items():
        left = SECONDS - (time.perf_counter() - started)
        rows += measured(name, max(1.0, min(limit, left)), options)
    # the peak, then all trainings of GPT-2 beside one another
    rows.sort(key=lambda row: (row.unit != "TFLOP/s", not row.flops))
    name = torch.cuda.get_device_name() if asked.device == "cuda" else "a CPU, to try it"
    show(rows, name, time.perf_counter() - started)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
