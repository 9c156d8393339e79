"""Reading of named texts: what a file is decides how it is read, and its name only in doubt.

Bytes are recognised (`sources`), lines are decoded (`lines`), records are taken apart (`formats`);
`corpus` reads texts to train on, `filters` lines that are answered one by one.
"""

from .corpus import (
    TextChunk,
    TextFile,
    read_all,
    read_columns,
    read_documents,
    read_lines,
    read_pairs,
)
from .filters import cell, is_json_lines, read_filter_column, read_filter_lines
from .formats import field_names, field_value
from .lines import CorpusCounts, replace_surrogates
from .sources import STDIN, SpooledPath, content_hash, is_rereadable, open_text, read_text
from .spool import Spool

__all__ = [
    "STDIN",
    "CorpusCounts",
    "Spool",
    "SpooledPath",
    "TextChunk",
    "TextFile",
    "cell",
    "content_hash",
    "field_names",
    "field_value",
    "is_json_lines",
    "is_rereadable",
    "open_text",
    "read_all",
    "read_columns",
    "read_documents",
    "read_filter_column",
    "read_filter_lines",
    "read_lines",
    "read_pairs",
    "read_text",
    "replace_surrogates",
]
