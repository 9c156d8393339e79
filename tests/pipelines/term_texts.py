"""Texts and tokenizers for tests of terms."""

import json
from pathlib import Path

from tests.tokenizer.pretrained.folders import LLAMA, sentencepiece_model, write
from tokenizer import Tokenizer, TrainingOptions, read_tokenizers, train_tokenizer

LINES = [
    "the cat sat on the mat, a bat: no!",
    "a café in New York; 日本語。 1 x",
    "The cat-flap isn't a cat's. A mat. Cat!",
] * 20
SENTENCEPIECE = ["published bpe", "published unigram"]


def tokenizer_of(kind: str, folder: Path) -> Tokenizer:
    """A trained tokenizer of some kind, or a published one."""
    if kind not in SENTENCEPIECE:
        return train_tokenizer(LINES, TrainingOptions(kind=kind, vocab_size=400))
    files = {
        "tokenizer.model": sentencepiece_model(kind.split()[1], **LLAMA),
        "tokenizer_config.json": {},
        "config.json": json.dumps({"model_type": "llama"}),
    }
    return read_tokenizers(write(folder / kind, files), vocabulary=1000)[0]
