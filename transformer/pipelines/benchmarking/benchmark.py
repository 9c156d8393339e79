"""A benchmark of a model: its number types loaded side by side, and timed by turns."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from msgspec import Meta

from tokenizer.quantities import format_bytes, format_count

from ...abilities import commands_of
from ...bounds import check_bounds
from ...config import TransformerConfig
from ...errors import ConfigError
from ...loading import (
    DTYPES,
    LoadedModel,
    choose_dtype,
    has_pooling,
    load_for_inference,
    load_model,
)
from ...memory import release_freed_memory
from ...parameters import count_parameters
from .machine import Machine, Memory, memory_in_use
from .timing import LEAST_SECONDS, timed_runs
from .workloads import WORKLOADS, Column, Rows, encode_texts, random_rows

BASE = "float32"  # that others are compared with
_Count = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """Number types, batches and lengths to measure. None: what suits the model."""

    dtypes: tuple[str, ...] = tuple(DTYPES)
    batch_sizes: tuple[_Count, ...] = (1, 8, 32)
    beam: Annotated[int, Meta(ge=1, le=1000)] | None = None
    prompt_tokens: _Count | None = None
    new_tokens: _Count | None = None
    repeats: _Count = 3

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of bounds, UnknownNameError for a number type."""
        check_bounds(self)
        for name in self.dtypes:
            DTYPES.check(name)


class LoadedType(NamedTuple):
    """A model in a number type: how long loading took, and the memory that it took for itself."""

    loaded: LoadedModel
    seconds: float
    memory: Memory | None  # after a first run; None where the system does not tell it
    notices: tuple[str, ...]  # that are of this type


class Benchmark:
    """A model to be measured, and what was measured so far.

    `load` comes first, for each of the settings' number types, then `measure`.
    """

    def __init__(
        self,
        path: Path,
        settings: BenchmarkSettings,
        *,
        device: str = "auto",
        adapter: Path | None = None,
        texts: Sequence[str] = (),
        free_memory: int | None = None,
    ) -> None:
        """Load a model for a moment: what is first read from a disk, or used, takes longer.

        `texts` are read in place of random ids, again from the first where a batch has more rows.
        Raises ConfigError for settings that the model cannot do, or that take more than the
        `free_memory` bytes; and what load_model does.
        """
        self._path, self._device, self._adapter = path, device, adapter
        self.settings = settings
        first = DTYPES[settings.dtypes[0]].dtype
        base = load_model(path, device=device, dtype=first, adapter=adapter)
        self.dtypes, self.choice = _resolved(settings.dtypes, base)
        self.config = base.config
        self.machine = Machine.of(base.device)
        _check_memory(base.config, self.dtypes, free_memory)
        able = commands_of(base.config, is_pooled=has_pooling(base.folder))
        self.workload = WORKLOADS[able[0].split()[0]]
        self.columns = self.workload.columns(settings.batch_sizes, settings.beam)
        self.lengths = self.workload.lengths(
            base.config, settings.prompt_tokens, settings.new_tokens
        )
        self._rows, self.num_cut = self._read(base, texts)
        self.loaded: dict[str, LoadedType] = {}
        self.not_measured: dict[str, str] = {}  # number types, to the reasons
        self.runs: dict[tuple[str, Column], list[float]] = {}  # units a second
        self.share_done = 0.0  # as if a batch's time grew as the root of its rows
        self._work(base, self.columns[0])()

    def _read(self, base: LoadedModel, texts: Sequence[str]) -> tuple[Rows, int]:
        """Return the rows of the largest batch, and how many texts were cut."""
        count, length = max(self.settings.batch_sizes), self.lengths.prompt_tokens
        if not texts:
            return random_rows(self.config, count, length), 0
        new = self.lengths.new_tokens
        room = self.config.max_positions - (0 if self.config.has_encoder else new)
        rows, cut = encode_texts(base, texts[:count], room, continued=bool(new))
        return [rows[index % len(rows)] for index in range(count)], cut

    def _work(self, loaded: LoadedModel, column: Column) -> Callable[[], int]:
        rows = self._rows[: column.batch_size]
        return self.workload.build(loaded, rows, column, self.lengths.new_tokens)

    @property
    def longest(self) -> int:
        """The number of tokens of the longest text that is read."""
        return max(map(len, self._rows))

    def load(self, name: str) -> None:
        """Load a number type, and run it once; one that cannot be used gets a reason.

        So does one as which another is loaded: that is measured by its own name.
        """
        device = torch.device(self.machine.device)
        gc.collect()
        release_freed_memory()
        before, started = memory_in_use(device), time.perf_counter()
        try:
            loaded = load_for_inference(
                self._path, device=self._device, dtype=name, adapter=self._adapter
            )
        except ConfigError as error:
            self.not_measured[name] = str(error)
            return
        seconds = time.perf_counter() - started
        notices = tuple(filter(None, (loaded.dtype_choice, *loaded.dtype_notices)))
        if loaded.dtype != name:
            self.not_measured[name] = "; ".join(notices) or f"{loaded.dtype} is used"
            return
        self._work(loaded, self.columns[0])()
        release_freed_memory()
        after = memory_in_use(device)
        grown = None if before is None or after is None else after.since(before)
        self.loaded[name] = LoadedType(loaded, seconds, grown, notices)

    @property
    def is_complete(self) -> bool:
        """True once all has been measured."""
        wanted = self.settings.repeats * len(self.loaded) * len(self.columns)
        return sum(map(len, self.runs.values())) == wanted

    def measure(
        self,
        *,
        least_seconds: float = LEAST_SECONDS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Iterator[None]:
        """Time each number type at each column; yield after each run.

        Raises ConfigError where no number type can be used.
        """
        if not self.loaded:
            raise ConfigError("; ".join(self.not_measured.values()))
        repeats = self.settings.repeats
        whole = sum(column.rows**0.5 for column in self.columns) * len(self.loaded) * (repeats + 1)
        for column in self.columns:
            work = {n: self._work(each.loaded, column) for n, each in self.loaded.items()}
            for run in timed_runs(work, repeats=repeats, least_seconds=least_seconds, clock=clock):
                if run.rate is not None:
                    self.runs.setdefault((run.name, column), []).append(run.rate)
                self.share_done += column.rows**0.5 / whole
                yield

    def rate(self, name: str, column: Column) -> float | None:
        """Return the median of a number type's runs; None where there is none yet."""
        runs = self.runs.get((name, column))
        return statistics.median(runs) if runs else None

    def ratio(self, name: str, column: Column) -> float | None:
        """Return how many times as fast as float32 a number type is; None if it was not timed."""
        rate, base = self.rate(name, column), self.rate(BASE, column)
        return rate / base if rate is not None and base is not None else None


def _resolved(names: Sequence[str], base: LoadedModel) -> tuple[list[str], str | None]:
    """Return number types as a model has them, and why `auto` is what it is, if named."""
    choice = None
    resolved: dict[str, None] = {}
    for name in names:
        if DTYPES[name].is_choice:
            chosen, choice = choose_dtype(
                base.device, base.model, is_quantized=base.rounded_in is not None
            )
            resolved[chosen] = None
        else:
            resolved[name] = None
    in_order = [name for name in DTYPES if name in resolved]
    return in_order, choice


def _check_memory(config: TransformerConfig, names: Sequence[str], free: int | None) -> None:
    """Raise ConfigError if the weights in all number types do not fit into free memory."""
    needed = count_parameters(config) * sum(DTYPES[name].dtype.itemsize for name in names)
    if free is not None and needed > free:
        types = format_count(len(names), "number type")
        raise ConfigError(
            f"the weights in {types} take {format_bytes(needed)} of memory, all at once, and "
            f"{format_bytes(free)} are free: name fewer with --dtype"
        )
