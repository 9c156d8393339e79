"""The machine that a benchmark runs on, and the memory that it takes there."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from ...cpus import cpu_name, cpu_quota

_STATUS = Path("/proc/self/status")
_OWN, _MAPPED = "RssAnon", "RssFile"


class Machine(NamedTuple):
    """A device, and what a speed on it depends on besides the model."""

    device: str  # as torch names it
    name: str  # of its processor
    threads: int  # of a CPU that take part
    torch_version: str
    cpu_quota: float | None  # the CPUs that control groups leave this process; None for all

    @classmethod
    def of(cls, device: torch.device) -> "Machine":
        """Return the machine with a device."""
        return cls(
            device=str(device),
            name=processor_name(device),
            threads=torch.get_num_threads(),
            torch_version=torch.__version__,
            cpu_quota=cpu_quota(),
        )


class Memory(NamedTuple):
    """Bytes of memory: a program's own, and pages of files that the system can take back."""

    own: int
    mapped: int

    def since(self, before: "Memory") -> "Memory":
        """Return the growth."""
        return Memory(*(max(0, now - then) for now, then in zip(self, before, strict=True)))


def processor_name(device: torch.device) -> str:
    """Return the name of the model of a GPU, or of the CPU as far as the system tells it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()


def memory_in_use(device: torch.device) -> Memory | None:
    """Return the memory that this program has on a device; None where that is not told."""
    if device.type == "cuda":
        return Memory(torch.cuda.memory_allocated(device), 0)
    with suppress(OSError, KeyError, ValueError):
        lines = _STATUS.read_text(encoding="utf-8", errors="replace").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return Memory(*(int(fields[name].removesuffix("kB")) << 10 for name in (_OWN, _MAPPED)))
    return None
