"""Tokenizers that grow: further tokens for text that they spell badly, ids of others unchanged."""

from .grow import Growth, GrowthOptions, check_growth, grow_tokenizer

__all__ = ["Growth", "GrowthOptions", "check_growth", "grow_tokenizer"]
