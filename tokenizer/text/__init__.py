"""Reading of named texts: what a file is decides how it is read, and its name only in doubt.

Bytes are recognised (`sources`), lines are decoded (`lines`), records are taken apart (`formats`);
`corpus` reads texts to train on, `filters` lines that are answered one by one.
"""

from .columns import Columns, Record, field_names, field_value
from .corpus import (
    TextChunk,
    TextFile,
    read_all,
    read_columns,
    read_documents,
    read_lines,
    read_pairs,
)
from .filters import FILTER_COLUMNS, read_filter_lines, read_filter_records
from .formats import format_of_name
from .headers import begins_with_names
from .lines import CorpusCounts, replace_surrogates
from .names import STDIN
from .sources import (
    SpooledPath,
    content_hash,
    is_rereadable,
    open_text,
    read_text,
    refuse_repeated_streams,
)
from .spool import Spool

__all__ = [
    "FILTER_COLUMNS",
    "STDIN",
    "Columns",
    "CorpusCounts",
    "Record",
    "Spool",
    "SpooledPath",
    "TextChunk",
    "TextFile",
    "begins_with_names",
    "content_hash",
    "field_names",
    "field_value",
    "format_of_name",
    "is_rereadable",
    "open_text",
    "read_all",
    "read_columns",
    "read_documents",
    "read_filter_lines",
    "read_filter_records",
    "read_lines",
    "read_pairs",
    "read_text",
    "refuse_repeated_streams",
    "replace_surrogates",
]
