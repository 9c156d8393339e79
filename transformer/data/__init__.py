"""Token ids on disk, and batches of them."""

from .batches import IGNORE, Batch, Data, PairData, WindowData, pad, pad_rows
from .store import TokenStore, TokenWriter

__all__ = [
    "IGNORE",
    "Batch",
    "Data",
    "PairData",
    "TokenStore",
    "TokenWriter",
    "WindowData",
    "pad",
    "pad_rows",
]
