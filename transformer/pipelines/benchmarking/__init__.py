"""Speed of a model on this machine, in each number type and at several batches."""

from .benchmark import Benchmark, BenchmarkSettings, LoadedType
from .machine import Machine
from .workloads import Column, Lengths, Workload

__all__ = [
    "Benchmark",
    "BenchmarkSettings",
    "Column",
    "Lengths",
    "LoadedType",
    "Machine",
    "Workload",
]
