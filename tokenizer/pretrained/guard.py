"""Keeping the names of special tokens that a text spells out from becoming those tokens.

A Unigram model knows no special tokens: `</s>` in a text would be the piece `</s>`. So texts are
cut inside of such names, at a place where no ordinary piece lies across.
"""

import re
from collections.abc import Iterable

from tokenizers import Regex, pre_tokenizers

from ..errors import TokenizerError


def refuse_panics(
    names: Iterable[str], pieces: Iterable[str], *, at_start: Iterable[str] = ()
) -> pre_tokenizers.PreTokenizer | None:
    """A split inside of every name; those of `at_start` are left whole where a text starts.

    Raises TokenizerError for a name that cannot be cut.
    """
    known = "\0".join(pieces)
    anywhere = {_cut(name, known, whole_at_start=False) for name in names}
    later = {_cut(name, known, whole_at_start=True) for name in at_start}
    patterns = sorted(anywhere | later)
    if not patterns:
        return None
    return pre_tokenizers.Split(Regex("|".join(patterns)), "merged_with_previous")


def _cut(name: str, known: str, *, whole_at_start: bool) -> str:
    """A pattern for the character after which a name is cut."""
    if len(name) < 2:
        raise TokenizerError(f"the special token {name!r} cannot be told from ordinary text")
    for at in range(1, len(name)):
        before, after = name[at - 1], name[at]
        # Of two unknown characters SentencePiece makes one token: no place to cut either.
        if before + after not in known and (before in known or after in known):
            rest = after
            break
    else:
        at, rest = 1, name[1:]
    start = f"(?<!\\A{re.escape(name[: at - 1])})" if whole_at_start else ""
    return f"{start}{re.escape(name[at - 1])}(?={re.escape(rest)})"
