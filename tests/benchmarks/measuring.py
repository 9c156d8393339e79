"""Medians of interleaved runs, and the table that they make."""

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table


def rates(work: Mapping[str, Callable[[], int]], *, rounds: int = 5) -> dict[str, float]:
    """Tokens a second of each, the median of several rounds after one to warm up.

    A round runs each once, so that whatever else the machine does falls on all alike.
    """
    seen: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, run in work.items():
            started = time.perf_counter()
            tokens = run()
            if number:
                seen[name].append(tokens / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in seen.items()}


class _Apart:
    """A contestant in a process of its own, where no other's threads wait for work."""

    def __init__(self, build: Callable[[], Callable[[], int]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build), daemon=True)
        self._process.start()

    def __call__(self) -> int:
        """Run once."""
        self._pipe.send(True)
        tokens: int = self._pipe.recv()
        return tokens

    def cpu_seconds(self) -> float:
        """Return what the process has computed for."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # its children's, too

    def close(self) -> None:
        """End the process."""
        self._pipe.send(False)
        self._process.join()


def _serve(pipe: Connection, build: Callable[[], Callable[[], int]]) -> None:
    run = build()
    while pipe.recv():
        pipe.send(run())


class _Undisturbed:
    """Runs of a contestant on a machine where others compute now and then: none of these count.

    A run is repeated while all other processes took more than DISTURBING of a core in it.
    """

    def __init__(self, contestant: _Apart, until: float) -> None:
        self._contestant, self._until = contestant, until
        self.disturbed = False  # the last run was, when there was no time left

    def timed(self) -> float:
        """Return the tokens a second of a run."""
        while True:
            before, own = busy_seconds(), self._contestant.cpu_seconds()
            started = time.perf_counter()
            tokens = self._contestant()
            took = time.perf_counter() - started
            others = busy_seconds() - before - (self._contestant.cpu_seconds() - own)
            self.disturbed = others > max(_DISTURBING * took, _TICKS)
            if not self.disturbed or time.monotonic() > self._until:
                return tokens / took
            time.sleep(1)


_DISTURBING, _TICKS = 0.05, 0.04  # of a core; seconds: the kernel counts hundredths on each core


def busy_seconds() -> float:
    """Return what all cores have computed for, since the start of the system."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split()[1:]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def rates_apart(
    work: Mapping[str, Callable[[], Callable[[], int]]], *, rounds: int = 5, patience: float = 0
) -> dict[str, float]:
    """Tokens a second as `rates` has them, each contestant in a process of its own.

    Each is a function that makes its run. In one process an OpenMP runtime's threads would wait
    for work on the cores of the next contestant. Runs in which other programs computed are repeated
    for up to `patience` seconds in all.
    """
    made = {name: _Apart(build) for name, build in work.items()}
    try:
        if not patience:
            return rates(made, rounds=rounds)
        for run in made.values():
            run()
        until = time.monotonic() + patience
        return _undisturbed_rates({n: _Undisturbed(run, until) for n, run in made.items()}, rounds)
    finally:
        for each in made.values():
            each.close()


def _undisturbed_rates(work: Mapping[str, _Undisturbed], rounds: int) -> dict[str, float]:
    seen: dict[str, list[float]] = {name: [] for name in work}
    disturbed = 0
    for _ in range(rounds):
        for name, run in work.items():
            seen[name].append(run.timed())
            disturbed += run.disturbed
    print(f"{disturbed} of {rounds * len(work)} runs had other programs beside them")
    return {name: statistics.median(values) for name, values in seen.items()}


def show(title: str, columns: Mapping[str, Mapping[str, float]], *, peer: str) -> None:
    """A row for each contestant, a column for each task; in brackets the ratio to the peer."""
    table = Table(title=title)
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    names = dict.fromkeys(name for column in columns.values() for name in column)
    for name in names:
        cells = []
        for column in columns.values():
            rate, base = column.get(name), column.get(peer)
            ratio = f" ({rate / base:.2f})" if rate and base else ""
            cells.append("" if rate is None else f"{rate:,.0f}{ratio}")
        table.add_row(name, *cells)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    console = Console()
    console.print(table)
    console.print(
        f"tokens/s; torch {torch.__version__}, {torch.get_num_threads()} threads {device}"
    )
