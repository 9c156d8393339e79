"""The machine that a benchmark runs on, and the memory that it takes there."""

import platform
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

_CPUS, _STATUS = Path("/proc/cpuinfo"), Path("/proc/self/status")
_OWN, _MAPPED = "RssAnon", "RssFile"


class Machine(NamedTuple):
    """A device, and what a speed on it depends on besides the model."""

    device: str  # as torch names it
    name: str  # of its processor
    threads: int  # of a CPU that take part
    torch_version: str

    @classmethod
    def of(cls, device: torch.device) -> "Machine":
        """Return the machine with a device."""
        return cls(str(device), processor_name(device), torch.get_num_threads(), torch.__version__)


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
    with suppress(OSError, KeyError):
        return _fields(_CPUS)["model name"]
    return platform.processor() or platform.machine()


def memory_in_use(device: torch.device) -> Memory | None:
    """Return the memory that this program has on a device; None where that is not told."""
    if device.type == "cuda":
        return Memory(torch.cuda.memory_allocated(device), 0)
    with suppress(OSError, KeyError, ValueError):
        fields = _fields(_STATUS)
        return Memory(*(int(fields[name].removesuffix("kB")) << 10 for name in (_OWN, _MAPPED)))
    return None


def _fields(path: Path) -> dict[str, str]:
    """Return the fields of a table of the kernel by their names; of several the first counts."""
    lines = reversed(path.read_text(encoding="utf-8", errors="replace").splitlines())
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
