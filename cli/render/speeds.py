"""Speeds of a model: a table by number type and batch for a terminal, rows for a pipe, and JSON."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tokenizer.quantities import format_bytes, format_count, format_large
from transformer.abilities import KINDS
from transformer.parameters import count_parameters
from transformer.pipelines.benchmarking import Benchmark, Column

from ..io.line_progress import format_rate
from .evaluation import GAP, wrapped

_Cells = Sequence[Sequence[str]]  # rows, of which the first is the head


def speed_lines(measured: Benchmark, file: str | None, width: int | None) -> Iterator[str]:
    """Yield the lines to print: for a terminal of that width, or for a pipe or a file."""
    if width is None:
        yield from ("\t".join(map(str, row)) for row in _rows(measured))
        return
    tables = [_wide(measured, [*columns]) for _, columns in _by_search(measured)]
    if max(len(line) for table in tables for line in _aligned(table)) >= width:
        tables = [_narrow(measured, column) for column in measured.columns]
    for table in (*tables, _loading(measured)):
        yield from _aligned(table)
        yield ""
    for text in _conditions(measured, file):
        yield from wrapped(text, width, GAP)


def speed_record(measured: Benchmark, model: Path, file: str | None) -> dict[str, Any]:
    """Return the JSON record of a benchmark."""
    results = [*_results(measured)]
    return {
        "model": str(model),
        "shape": measured.config.shape,
        "weights": count_parameters(measured.config),
        **_machine(measured),
        "file": file,
        "prompt_tokens": measured.longest,
        "new_tokens": measured.lengths.new_tokens,
        "repeats": measured.settings.repeats,
        "unit": f"{measured.workload.unit}/s",
        "dtypes": [
            {"dtype": name, **_loaded(measured, name), "notices": [*each.notices]}
            for name, each in measured.loaded.items()
        ],
        "auto": measured.choice,
        "not_measured": measured.not_measured,
        "results": results,
        "complete": measured.is_complete,
    }


def _results(measured: Benchmark) -> Iterator[dict[str, Any]]:
    for column in measured.columns:
        for name in measured.loaded:
            if (rate := measured.rate(name, column)) is not None:
                yield {
                    "dtype": name,
                    "search": column.kind,
                    "beam": column.beam or None,
                    "batch_size": column.batch_size,
                    "rate": rate,
                    "ratio": measured.ratio(name, column),
                    "runs": measured.runs[name, column],
                }


def _machine(measured: Benchmark) -> dict[str, Any]:
    device, processor, threads, version, quota = measured.machine
    return {
        "device": device,
        "processor": processor,
        "threads": threads,
        "cpu_quota": quota,
        "torch": version,
    }


def _loaded(measured: Benchmark, name: str) -> dict[str, Any]:
    """Return the fields of a number type's loading."""
    _, seconds, memory, _ = measured.loaded[name]
    own, mapped = (None, None) if memory is None else memory
    return {"load_seconds": seconds, "memory_bytes": own, "mapped_bytes": mapped}


def _rows(measured: Benchmark) -> Iterator[list[Any]]:
    """Yield the rows for a pipe: names, then all that is known of each result."""
    unit, machine = f"{measured.workload.unit}/s", _machine(measured)
    names: list[str] = []
    for result in _results(measured):
        del result["runs"]
        result["rate"] = f"{result['rate']:.1f}"
        result["ratio"] = "" if result["ratio"] is None else f"{result['ratio']:.2f}"
        loaded = _loaded(measured, result["dtype"])
        loaded["load_seconds"] = f"{loaded['load_seconds']:.3f}"
        row = {**result, "unit": unit, **loaded, **machine}
        if not names:
            yield (names := [*row])
        yield ["" if value is None else value for value in row.values()]


def _by_search(measured: Benchmark) -> Iterator[tuple[str, Iterator[Column]]]:
    yield from groupby(measured.columns, key=lambda column: column.search)


def _wide(measured: Benchmark, columns: Sequence[Column]) -> _Cells:
    """Return the table of one search: a row for each number type."""
    head = [columns[0].search, *(_texts(column) for column in columns)]
    rows = ([name, *(_cell(measured, name, each) for each in columns)] for name in measured.loaded)
    return [head, *rows]


def _narrow(measured: Benchmark, column: Column) -> _Cells:
    """Return the table of one column."""
    rows = ([f"{GAP}{name}", _cell(measured, name, column)] for name in measured.loaded)
    return [[f"{column.search}, {_texts(column)}", ""], *rows]


def _loading(measured: Benchmark) -> _Cells:
    """Return the table of times and of memory, as far as it is known."""
    rows = [["", "loading", "memory", "mapped"]]
    for name in measured.loaded:
        seconds, *sizes = _loaded(measured, name).values()
        told = ["-" if size is None else format_bytes(size) for size in sizes]
        rows.append([name, f"{seconds:.2f} s", *told])
    return rows


def _cell(measured: Benchmark, name: str, column: Column) -> str:
    rate, ratio = measured.rate(name, column), measured.ratio(name, column)
    if rate is None:
        return "-"
    return format_rate(rate) + ("" if ratio is None else f" ({ratio:.2f})")


def _texts(column: Column) -> str:
    return format_count(column.batch_size, "text")


def _aligned(table: _Cells) -> Iterator[str]:
    """Yield the lines of a table: names on the left, numbers on the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *others in table:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield GAP.join([first.ljust(widths[0]), *cells]).rstrip()


def _conditions(measured: Benchmark, file: str | None) -> Iterator[str]:
    """Yield what the numbers are, and what they depend on."""
    runs = format_count(measured.settings.repeats, "run")
    rest = "" if measured.is_complete else "; not all was measured"
    yield f"{measured.workload.unit}/s; in brackets, times float32; medians of {runs}{rest}"
    read = format_count(measured.longest, "token")
    texts = f"texts of {read}, drawn at random"
    if file is not None:
        texts = f"{'stdin' if file == '-' else file}: {read} at most"
    new = measured.lengths.new_tokens
    yield texts + (f"; {format_count(new, 'token')} written after each" if new else "")
    weights = format_count(format_large(count_parameters(measured.config)), "weight")
    yield f"{KINDS[measured.config.shape]} of {weights}"
    device, name, threads, version, quota = measured.machine
    limit = "" if quota is None else f" (CPU quota: {quota:g})"
    yield f"{device} ({name}), {format_count(threads, 'thread')}{limit}, torch {version}"
