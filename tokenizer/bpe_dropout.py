"""The dropout of BPE models (arXiv 1910.13267), which is off in use and kept in files."""

import tokenizers
from tokenizers import models


def switch_off_dropout(backend: tokenizers.Tokenizer) -> float | None:
    """Switch off a BPE model's dropout, and return it."""
    model = backend.model
    if not isinstance(model, models.BPE) or model.dropout is None:
        return None
    dropout, model.dropout = model.dropout, None
    return dropout


def with_dropout(backend: tokenizers.Tokenizer, dropout: float | None) -> tokenizers.Tokenizer:
    """Return a copy of a tokenizer that has a dropout; itself for None."""
    if dropout is None:
        return backend
    copy = tokenizers.Tokenizer.from_str(backend.to_str())
    copy.model.dropout = dropout
    return copy
