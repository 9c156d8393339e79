"""Reading of named texts: what a file is decides how it is read, and its name only in doubt.

Bytes are recognised (`sources`), lines are decoded (`lines`), records are taken apart (`formats`);
`corpus` reads texts to train on, `filters` lines that are answered one by one.
"""

from .columns import Columns, Record, field_names, field_value, listed
from .corpus import (
    TextChunk,
    TextFile,
    open_corpus,
    read_all,
    read_columns,
    read_documents,
    read_lines,
    read_objects,
    read_pairs,
)
from .delimited import find_delimiter, sample_rows
from .filters import FILTER_COLUMNS, read_filter_lines, read_filter_records
from .formats import FORMATS, find_format, format_of_name
from .headers import begins_with_names
from .json_records import BLANK, JsonObjects
from .lines import CorpusCounts, CorpusLines, replace_surrogates
from .names import STDIN, display_name
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
    "BLANK",
    "FILTER_COLUMNS",
    "FORMATS",
    "STDIN",
    "Columns",
    "CorpusCounts",
    "CorpusLines",
    "JsonObjects",
    "Record",
    "Spool",
    "SpooledPath",
    "TextChunk",
    "TextFile",
    "begins_with_names",
    "content_hash",
    "display_name",
    "field_names",
    "field_value",
    "find_delimiter",
    "find_format",
    "format_of_name",
    "is_rereadable",
    "listed",
    "open_corpus",
    "open_text",
    "read_all",
    "read_columns",
    "read_documents",
    "read_filter_lines",
    "read_filter_records",
    "read_lines",
    "read_objects",
    "read_pairs",
    "read_text",
    "refuse_repeated_streams",
    "replace_surrogates",
    "sample_rows",
]
