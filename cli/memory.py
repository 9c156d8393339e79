"""The process's memory: settings of Python's and the C library's allocators."""

import ctypes
import gc
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # in glibc's malloc.h


def reuse_memory() -> None:
    """Keep what is freed for what is asked for next, which is most often the same again.

    Imports make hundreds of thousands of objects that stay: looking through them for cycles every
    700 objects takes a tenth of a short program's time. And glibc returns a freed tensor's pages to
    the kernel, so that each step of a search or a training would wait for new ones.
    """
    gc.set_threshold(20_000, 10, 10)
    with suppress(OSError, TypeError, AttributeError):  # another C library: its own rules hold
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 2**25)  # the most that each version of glibc takes
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
