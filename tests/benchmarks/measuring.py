"""Medians of interleaved runs, and the table that they make."""

import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection

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

    def close(self) -> None:
        """End the process."""
        self._pipe.send(False)
        self._process.join()


def _serve(pipe: Connection, build: Callable[[], Callable[[], int]]) -> None:
    run = build()
    while pipe.recv():
        pipe.send(run())


def rates_apart(
    work: Mapping[str, Callable[[], Callable[[], int]]], *, rounds: int = 5
) -> dict[str, float]:
    """Tokens a second as `rates` has them, each contestant in a process of its own.

    Each is a function that makes its run. In one process an OpenMP runtime's threads would wait
    for work on the cores of the next contestant.
    """
    made = {name: _Apart(build) for name, build in work.items()}
    try:
        return rates(made, rounds=rounds)
    finally:
        for each in made.values():
            each.close()


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
