"""Tokenizers of published models as objects of the `tokenizers` library.

They are read without the libraries that wrote them.
"""

from .folders import TOKENIZER_FILES, Tokenizers, read_tokenizers

__all__ = ["TOKENIZER_FILES", "Tokenizers", "read_tokenizers"]
