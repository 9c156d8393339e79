"""Special tokens: their names, and their roles in tokenizers of any origin."""

PAD, UNKNOWN, BEGIN, END, MASK = "<pad>", "<unk>", "<s>", "</s>", "<mask>"
BASIC = (PAD, UNKNOWN, BEGIN, END)  # ids 0 to 3 of every tokenizer trained here

# The tokens in which byte fallback spells unknown text.
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))

# Ids from this token's on belong to pieces that a tokenizer produces and its model has not learnt:
# they mean the unknown token. No text contains it, since spaces are escaped where it is used.
OUT_OF_VOCABULARY = " <unlearnt>"

# Names that tokenizers give to the token of a role, tried in order.
ROLES: dict[str, tuple[str, ...]] = {
    "pad": (PAD, "[PAD]", "<|endoftext|>"),
    "unknown": (UNKNOWN, "[UNK]", "<|endoftext|>"),
    "begin": (BEGIN, "[CLS]", "<|begin_of_text|>", "<|endoftext|>"),
    "end": (END, "[SEP]", "<|end_of_text|>", "<|endoftext|>"),
    "mask": (MASK, "[MASK]"),
}


def language_tag(language: str) -> str:
    """Return the token that requests a target language, as in arXiv 1611.04558.

    >>> language_tag("de")
    '<2de>'
    """
    return f"<2{language}>"


def sentinel(number: int) -> str:
    """Return the token that stands for a span of missing text, counted from 0; arXiv 1910.10683.

    >>> sentinel(0)
    '<extra_id_0>'
    """
    return f"<extra_id_{number}>"
