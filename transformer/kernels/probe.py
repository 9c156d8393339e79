"""Speeds of kernels on this machine: measured once, and remembered in the user's cache folder."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from statistics import geometric_mean

import msgspec
import torch

from checkpoints import CheckpointError, cache_file, write_file

from ..cpus import cpu_name
from .linear import LINEAR_KERNELS, LinearKernel, is_usable

CACHE_NAME = "kernel-speeds.json"
_MAX_BYTES = 1 << 16  # of that file
_MAX_MACHINES = 20  # of which it tells, and versions of torch
_SHAPE = (2048, 512)
_MATRICES = 4  # together more than a core's own cache, as those of a model are
_ROWS = (1, 4, 32)
_ROUNDS = 7

Speeds = Mapping[str, float]


def kernel_speeds(base: str) -> Speeds:
    """Return each usable kernel's speed beside the base's, over batches of 1 to 32 rows.

    It takes a fifth of a second, once for a machine and a version of torch. One thread measures, as
    in an engine of its own: several would wait for whatever else the machine does.
    """
    machine, remembered = f"{_machine()} base {base}", _read()
    usable, known = list(filter(is_usable, LINEAR_KERNELS)), remembered.get(machine, {})
    if known.keys() == {*usable} and all(speed > 0 for speed in known.values()):
        return known
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = {name: _times(LINEAR_KERNELS[name]) for name in usable}
    finally:
        torch.set_num_threads(threads)
    if base not in times:
        return {}
    speeds = {
        name: geometric_mean(b / own for b, own in zip(times[base], each, strict=True))
        for name, each in times.items()
    }
    last = [*remembered.items()][1 - _MAX_MACHINES :]
    _write({**dict(last), machine: speeds})
    return speeds


@torch.inference_mode()
def _times(kernel: LinearKernel) -> list[float]:
    """Return the seconds that the matrices take, the least of several rounds, by rows."""
    outputs, inputs = _SHAPE
    weight_OI = torch.linspace(0, 1000, outputs * inputs).sin().view(_SHAPE)
    packed = [kernel.pack(weight_OI, None) for _ in range(_MATRICES)]
    found = []
    for rows in _ROWS:
        x_RI = weight_OI[:rows].contiguous()
        rounds = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            for each in packed:
                kernel.apply(x_RI, each)
            rounds.append(time.perf_counter() - started)
        found.append(min(rounds))
    return found


def _machine() -> str:
    """Return what the speeds depend on, as text."""
    capability = torch.backends.cpu.get_cpu_capability()
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    return f"{cpu_name()} {capability} {isa} torch {torch.__version__}"


def _read() -> dict[str, dict[str, float]]:
    with suppress(OSError, RuntimeError, ValueError):  # which damaged JSON and UTF-8 are
        path = cache_file(CACHE_NAME)
        if path.is_file() and path.stat().st_size <= _MAX_BYTES:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, float]])
    return {}


def _write(found: Mapping[str, Speeds]) -> None:
    with suppress(OSError, RuntimeError, CheckpointError):
        path = cache_file(CACHE_NAME)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, msgspec.json.encode(found).decode())
