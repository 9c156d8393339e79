"""The CPUs of this machine: their model, and how many of them this process may use."""

import math
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_PROC = Path("/proc")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # torch reads both when it is imported


def cpu_name(proc: Path = _PROC) -> str:
    """Return the name of the CPU's model, as far as the system tells it."""
    with suppress(OSError, StopIteration):
        lines = _lines(proc / "cpuinfo")
        name = next(line for line in lines if line.startswith("model name"))
        return name.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def limit_threads(proc: Path = _PROC) -> None:
    """Let torch, which is not imported yet, start no more threads than a CPU quota has room for.

    It counts cores and knows nothing of a container's share of them: threads in excess of that
    wait for each other until the next period. A user's own number takes precedence.
    """
    usable = usable_cpus(proc)
    if usable < _allowed_cpus() and not any(os.environ.get(name) for name in _THREADS):
        os.environ[_THREADS[0]] = str(usable)


def usable_cpus(proc: Path = _PROC) -> int:
    """Return how many CPUs this process may use at once: by its affinity and its quota."""
    quota, allowed = cpu_quota(proc), _allowed_cpus()
    return allowed if quota is None else min(allowed, max(1, math.ceil(quota)))


def cpu_quota(proc: Path = _PROC) -> float | None:
    """Return the CPUs' worth of time that control groups leave this process; None for all.

    A group's limit holds for all groups in it, so the least counts of its own and those above.
    """
    return min(_quotas(proc), default=None)


def _allowed_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(proc: Path) -> Iterator[float]:
    for group in _groups(proc):
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = _limit(group)
            if quota != "max" and int(quota) > 0:  # in version 1, -1 is no limit
                yield int(quota) / int(period)


def _limit(group: Path) -> list[str]:
    """Return a group's quota and period, in microseconds."""
    with suppress(FileNotFoundError):
        return (group / "cpu.max").read_text().split()  # version 2
    return [(group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]


def _groups(proc: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, and of those above, as mounted."""
    with suppress(OSError, ValueError):
        own = dict(_own_groups(proc))
        for controllers, root, mounted in _mounts(proc):
            if controllers not in own:
                continue
            group, top = PurePosixPath(own[controllers]), PurePosixPath(root)
            # What is mounted may be this group as a part of the host's tree, which hides the rest.
            below = group.relative_to(top) if group.is_relative_to(top) else PurePosixPath()
            yield mounted
            for depth in range(len(below.parts)):
                yield mounted.joinpath(*below.parts[: depth + 1])


def _own_groups(proc: Path) -> Iterator[tuple[str, str]]:
    """Yield "" (version 2) or "cpu" (version 1), and the path of this process's group."""
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield "", path
        elif "cpu" in controllers.split(","):
            yield "cpu", path


def _mounts(proc: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield "" or "cpu", the group that is mounted, and where, of each tree of groups."""
    for line in _lines(proc / "self" / "mountinfo"):
        before, _, after = line.partition(" - ")
        root, place = before.split()[3:5]
        kind, _, options = after.split(maxsplit=2)
        if kind == "cgroup2":
            yield "", root, Path(place)
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield "cpu", root, Path(place)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
