"""Texts with their special tokens, to be read by people."""

import re
from collections.abc import Sequence

from tokenizer import Tokenizer


def show_special(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Return the text of ids with its special tokens by name, each a word of its own."""
    names = "|".join(re.escape(name) for name in tokenizer.special_tokens())
    text = tokenizer.decode(ids, skip_special=False)
    parts = re.split(f"({names})", text) if names else [text]
    return " ".join(part.strip(" ") for part in parts if part.strip(" "))
