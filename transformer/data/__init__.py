"""Token ids on disk, and batches of them."""

from ..inputs import IGNORE, Batch
from .batches import Data, PairData, WindowData
from .conversations import ConversationData
from .framing import Framing
from .labelled import LabelledData
from .loader import BatchLoader, pins_memory
from .mixed import MixedData
from .packing import PackedData
from .pieces import Pieces, document_pieces, row_pieces, window_pieces
from .pretraining import DenoisingData, MaskedData, PrefixData, SpanCorruptionData
from .rows import pad, pad_global, pad_rows
from .store import Ids, TokenStore, TokenWriter
from .tagged import TaggedData

__all__ = [
    "IGNORE",
    "Batch",
    "BatchLoader",
    "ConversationData",
    "Data",
    "DenoisingData",
    "Framing",
    "Ids",
    "LabelledData",
    "MaskedData",
    "MixedData",
    "PackedData",
    "PairData",
    "Pieces",
    "PrefixData",
    "SpanCorruptionData",
    "TaggedData",
    "TokenStore",
    "TokenWriter",
    "WindowData",
    "document_pieces",
    "pad",
    "pad_global",
    "pad_rows",
    "pins_memory",
    "row_pieces",
    "window_pieces",
]
