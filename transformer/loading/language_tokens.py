"""Language tokens among a tokenizer's special tokens, and the names that a user gives them."""

import re
from collections.abc import Iterable

# Formats of language tokens, and whether the token stands before the source. The others begin the
# target: as a forced first token, or as the decoder's start token.
TOKEN_FORMATS = (("<2{}>", True), (">>{}<<", True), ("__{}__", False), ("{}", False))
LANGUAGE_TOKEN = re.compile(r"__[a-z]{2,3}__|[a-z]{2,3}_[A-Za-z]{2,4}")


def language_names(tokens: Iterable[str]) -> list[str]:
    """Return the languages among special tokens, by the names that a user gives, sorted.

    >>> language_names(["<s>", "__de__", ">>fr<<", "deu_Latn"])
    ['de', 'deu_Latn', 'fr']
    """
    patterns = [re.escape(s).replace(r"\{\}", r"(\w+)") for s, _ in TOKEN_FORMATS[:-1]]
    names, listed = [], [*tokens]
    names += [m[1] for token in listed for p in patterns if (m := re.fullmatch(p, token))]
    names += [
        token for token in listed if LANGUAGE_TOKEN.fullmatch(token) and not token.startswith("__")
    ]
    return sorted(names)
