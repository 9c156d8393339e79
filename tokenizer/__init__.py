"""Conversion between text and ids. Imports no torch, so that its commands start fast."""

from .blank import is_blank
from .errors import CorpusError, TokenizerError, TokenizerOptionError
from .kinds import TOKENIZERS, TrainingOptions
from .offsets import OffsetEncoding
from .pretrained import TOKENIZER_FILES, Tokenizers, read_tokenizers
from .special import language_tag
from .text import (
    STDIN,
    CorpusCounts,
    Spool,
    SpooledPath,
    TextChunk,
    TextFile,
    content_hash,
    is_rereadable,
    open_text,
    read_all,
    read_columns,
    read_documents,
    read_lines,
    read_pairs,
    read_text,
)
from .tokenizer import SpecialAffixes, Tokenizer
from .training import NORMALIZATIONS, check_options, train_tokenizer

__all__ = [
    "NORMALIZATIONS",
    "STDIN",
    "TOKENIZERS",
    "TOKENIZER_FILES",
    "CorpusCounts",
    "CorpusError",
    "OffsetEncoding",
    "SpecialAffixes",
    "Spool",
    "SpooledPath",
    "TextChunk",
    "TextFile",
    "Tokenizer",
    "TokenizerError",
    "TokenizerOptionError",
    "Tokenizers",
    "TrainingOptions",
    "check_options",
    "content_hash",
    "is_blank",
    "is_rereadable",
    "language_tag",
    "open_text",
    "read_all",
    "read_columns",
    "read_documents",
    "read_lines",
    "read_pairs",
    "read_text",
    "read_tokenizers",
    "train_tokenizer",
]
