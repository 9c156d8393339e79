"""Token ids on disk, and batches of them."""

from .batches import IGNORE, Batch, Data, PairData, WindowData, pad, pad_rows
from .loader import BatchLoader, pins_memory
from .store import Ids, TokenStore, TokenWriter

__all__ = [
    "IGNORE",
    "Batch",
    "BatchLoader",
    "Data",
    "Ids",
    "PairData",
    "TokenStore",
    "TokenWriter",
    "WindowData",
    "pad",
    "pad_rows",
    "pins_memory",
]
