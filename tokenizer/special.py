"""Special tokens: their names, and the roles that they play in tokenizers of any origin."""

PAD, UNKNOWN, BEGIN, END, MASK = "<pad>", "<unk>", "<s>", "</s>", "<mask>"
BASIC = (PAD, UNKNOWN, BEGIN, END)  # ids 0 to 3 of every tokenizer trained here

# Ids from this token's on belong to pieces that a tokenizer cuts texts into and its model never
# learnt: they mean the unknown token. No text contains it: spaces are escaped where it is used.
OUT_OF_VOCABULARY = " <unlearnt>"

# Names under which other tokenizers keep the same role, tried in order.
ROLES: dict[str, tuple[str, ...]] = {
    "pad": (PAD, "[PAD]", "<|endoftext|>"),
    "unknown": (UNKNOWN, "[UNK]", "<|endoftext|>"),
    "begin": (BEGIN, "[CLS]", "<|begin_of_text|>", "<|endoftext|>"),
    "end": (END, "[SEP]", "<|end_of_text|>", "<|endoftext|>"),
    "mask": (MASK, "[MASK]"),
}


def language_tag(language: str) -> str:
    """The token that asks for a target language, as in arXiv 1611.04558.

    >>> language_tag("de")
    '<2de>'
    """
    return f"<2{language}>"
