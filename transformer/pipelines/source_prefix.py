"""Text that stands before each source, as T5 was told its tasks: `summarize: `."""

from dataclasses import replace

from tokenizer import Tokenizer

from ..loading import ModelTexts


def with_source_prefix(texts: ModelTexts, prefix: str) -> ModelTexts:
    """Return the texts of a model that reads a prefix before each source.

    It stands among the ids around sources, after a begin token or a language's.
    """
    before, after = texts.special_affixes
    return replace(
        texts, source_affixes=([*before, *source_prefix_ids(texts.tokenizer, prefix)], after)
    )


def source_prefix_ids(tokenizer: Tokenizer, prefix: str) -> list[int]:
    """Return the ids that a prefix adds before a text.

    Where a tokenizer begins words with their space, as T5's does, the prefix's last space is the
    text's own.
    """
    alone, together = tokenizer.encode("a"), tokenizer.encode(f"{prefix}a")
    if together[-len(alone) :] == alone:
        return together[: -len(alone)]
    return tokenizer.encode(prefix)
