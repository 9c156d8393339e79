"""The memory that a program keeps: limits on what torch needs no more, reuse of what it frees.

oneDNN and ATen each keep the code and the packed weights of up to 1,024 products, one for each new
shape of a batch: in bfloat16 over a gigabyte after 60 steps of training. Both read their limits
from the environment when they are first used, so these must be set before the first product; a
user's own limits take precedence.
"""

import ctypes
import gc
import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path

_PRIMITIVES, _PACKED = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"
# The limits set here, which child processes inherit and must not take for the user's own.
_SET_HERE = "TRANSDUCE_KERNEL_LIMITS"
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_TRIM, _MALLOPT, _MADVISE = (
    getattr(_LIBC, name, None) for name in ("malloc_trim", "mallopt", "madvise")
)
_MADV_DONTNEED = 4  # in Linux's mman-common.h
_MAPS = Path("/proc/self/maps")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # in glibc's malloc.h


def limit_kernel_caches(*, primitives: int = 128, packed: int = 16) -> None:
    """Limit the kernels (`primitives`) and packed weights (`packed`) that torch keeps, by count.

    Decoding needs some: without any, a step for one row in bfloat16 takes three times as long,
    with 128 no longer than with 1,024.
    """
    set_here = dict(pair.split("=") for pair in os.environ.get(_SET_HERE, "").split())
    for name, limit in ((_PRIMITIVES, primitives), (_PACKED, packed)):
        if os.environ.get(name) == set_here.get(name):  # both None: not set by anyone
            os.environ[name] = set_here[name] = str(limit)
    os.environ[_SET_HERE] = " ".join(f"{name}={limit}" for name, limit in set_here.items())


def keep_freed_memory() -> None:
    """Let a program's next step use the pages that its last one freed, with glibc.

    By itself it returns those of large buffers to the system, and each step waits for new ones: a
    window's attention on texts of 65,536 tokens took 40% longer.
    """
    if _MALLOPT is not None:  # another C library has its own rules
        _MALLOPT(_M_MMAP_MAX, 0)  # no buffer of the main thread in pages of its own
        _MALLOPT(_M_TRIM_THRESHOLD, 2**31 - 1)


def collect_rarely(*, first: int = 400_000, later: int = 20_000) -> None:
    """Look for cycles of garbage once `first` objects are there, then after every `later` more.

    Imports and a model make 290,000 that stay: looking through them every 20,000 takes 80 ms of a
    start, and every 700, as Python does, a tenth of a short program's time.
    """

    def settle(phase: str, info: dict[str, int]) -> None:
        del info
        if phase == "stop":
            gc.callbacks.remove(settle)
            gc.set_threshold(later, 10, 10)

    gc.callbacks.append(settle)
    gc.set_threshold(first, 10, 10)


class MappedFiles:
    """The parts of memory that are files, whose pages a program need not keep."""

    def __init__(self) -> None:
        """Read where files are mapped now; nowhere, if the system does not tell."""
        self._ranges: list[tuple[int, int]] = []
        with suppress(OSError):
            for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
                place, _, _, _, inode, *_ = line.split()
                if inode != "0":
                    start, end = (int(each, 16) for each in place.split("-"))
                    self._ranges.append((start, end))

    def drop(self, address: int, size: int) -> None:
        """Drop the whole pages of bytes that nothing reads any more; the system's copy stays.

        So a model that is laid out anew while it is read needs no room for the old one. What was
        written there is lost. It does nothing to bytes that are in no file.
        """
        page = mmap.PAGESIZE
        start = -(-address // page) * page
        length = (address + size) // page * page - start
        within = any(low <= start and start + length <= high for low, high in self._ranges)
        if within and length > 0 and _MADVISE is not None:
            _MADVISE(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def release_freed_memory() -> None:
    """Return the pages of freed buffers to the system, with glibc.

    Batches of many shapes leave gaps behind: the Multi30k model's 660 MiB were 730 after 1,500
    steps.
    """
    if _TRIM is not None:  # other allocators return them by themselves
        _TRIM(0)
