"""A tokenizer of characters, for small models in folders."""

import pytest

from tests.families.published import VOCABULARY
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    options = TrainingOptions(kind="char", vocab_size=VOCABULARY, normalization="none")
    return train_tokenizer(["the quick brown fox jumps over a lazy dog 0123456789"] * 3, options)
