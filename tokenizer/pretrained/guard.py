"""A guard that keeps names of special tokens in a text from becoming these tokens.

A Unigram model has no special tokens: `</s>` in a text would be the piece `</s>`. So texts are
split inside such names, at an index that no ordinary piece spans.
"""

import re
from collections.abc import Iterable

from tokenizers import Regex, pre_tokenizers

from ..errors import TokenizerError


def split_inside_names(
    names: Iterable[str], pieces: Iterable[str], *, at_start: Iterable[str] = ()
) -> pre_tokenizers.PreTokenizer | None:
    """Return a split inside every name; those of `at_start` stay whole at the start of a text.

    Raises TokenizerError for a name that cannot be split.
    """
    vocabulary = "\0".join(pieces)
    anywhere = {_cut_pattern(name, vocabulary, whole_at_start=False) for name in names}
    later = {_cut_pattern(name, vocabulary, whole_at_start=True) for name in at_start}
    patterns = sorted(anywhere | later)
    if not patterns:
        return None
    return pre_tokenizers.Split(Regex("|".join(patterns)), "merged_with_previous")


def _cut_pattern(name: str, vocabulary: str, *, whole_at_start: bool) -> str:
    """Return a pattern for the character after which a name is split."""
    if len(name) < 2:
        raise TokenizerError(f"the special token {name!r} cannot be told from ordinary text")
    for index in range(1, len(name)):
        before, after = name[index - 1], name[index]
        # SentencePiece makes one token of two unknown characters: no split between them.
        if before + after not in vocabulary and (before in vocabulary or after in vocabulary):
            rest = after
            break
    else:
        index, rest = 1, name[1:]
    start = f"(?<!\\A{re.escape(name[: index - 1])})" if whole_at_start else ""
    return f"{start}{re.escape(name[index - 1])}(?={re.escape(rest)})"
