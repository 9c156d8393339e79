"""The tokenizer of small models in folders."""

from tests.loading.conftest import tokenizer

__all__ = ["tokenizer"]
