"""Memory that a process on a CPU would keep for nothing.

oneDNN and ATen each keep the code and the packed weights of up to 1,024 products, one for each new
shape of a batch: in bfloat16 that is over a gigabyte after 60 steps of training. Both read their
limits from the environment when they are first used, so these must stand there before the first
product; a user's own limits win.
"""

import ctypes
import os
import sys

_PRIMITIVES, _PACKED = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"
# What was set here, which child processes inherit and must not take for a user's wish.
_SET_HERE = "TRANSDUCE_KERNEL_LIMITS"
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def limit_kernel_caches(*, primitives: int = 128, packed: int = 16) -> None:
    """Keep no more than this. Decoding needs some: with none, a step for one row in bfloat16 takes
    three times as long, and with 128 no longer than with 1,024."""
    mine = dict(pair.split("=") for pair in os.environ.get(_SET_HERE, "").split())
    for name, limit in ((_PRIMITIVES, primitives), (_PACKED, packed)):
        if os.environ.get(name) == mine.get(name):  # both None: nobody has set it
            os.environ[name] = mine[name] = str(limit)
    os.environ[_SET_HERE] = " ".join(f"{name}={limit}" for name, limit in mine.items())


def release_freed_memory() -> None:
    """Give the pages of freed buffers back to the system. Batches of many shapes leave gaps behind:
    the Multi30k model's 660 MiB were 730 after 1,500 steps."""
    if _TRIM is not None:  # glibc's; others give them back by themselves
        _TRIM(0)
