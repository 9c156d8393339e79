"""Conversion between text and ids. Imports no torch, so that its commands start fast."""

from .blank import is_blank
from .corpus import CorpusCounts, TextFile, read_all, read_chunks, read_lines, read_pairs
from .errors import CorpusError, TokenizerError, TokenizerOptionError
from .pretrained import TOKENIZER_FILES, Tokenizers, read_tokenizers
from .special import language_tag
from .tokenizer import SpecialAffixes, Tokenizer
from .training import NORMALIZATIONS, TOKENIZERS, TrainingOptions, check_options, train_tokenizer

__all__ = [
    "NORMALIZATIONS",
    "TOKENIZERS",
    "TOKENIZER_FILES",
    "CorpusCounts",
    "CorpusError",
    "SpecialAffixes",
    "TextFile",
    "Tokenizer",
    "TokenizerError",
    "TokenizerOptionError",
    "Tokenizers",
    "TrainingOptions",
    "check_options",
    "is_blank",
    "language_tag",
    "read_all",
    "read_chunks",
    "read_lines",
    "read_pairs",
    "read_tokenizers",
    "train_tokenizer",
]
