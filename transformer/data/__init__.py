"""Token ids on disk, and batches of them."""

from ..inputs import IGNORE, Batch
from .batches import Data, PairData, WindowData, pad, pad_rows
from .framing import Framing
from .loader import BatchLoader, pins_memory
from .store import Ids, TokenStore, TokenWriter

__all__ = [
    "IGNORE",
    "Batch",
    "BatchLoader",
    "Data",
    "Framing",
    "Ids",
    "PairData",
    "TokenStore",
    "TokenWriter",
    "WindowData",
    "pad",
    "pad_rows",
    "pins_memory",
]
