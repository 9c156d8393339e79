"""Asking a multilingual model for a language, in the way that it was trained to be asked."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import ConfigError
from ..loading import LoadedModel

# How a language is spelled as a token, and whether that token stands before the source. The other
# kind begins what is written: forced to be its first token, or given to the decoder as its start.
_SPELLINGS = (("<2{}>", True), (">>{}<<", True), ("__{}__", False), ("{}", False))
_TOKEN = re.compile(r"__[a-z]{2,3}__|[a-z]{2,3}_[A-Za-z]{2,4}")


class TranslationPrompt(NamedTuple):
    """What is around a source text, and how its translation begins."""

    before: list[int]
    after: list[int]
    start: int
    first: int | None  # the first token, where it is not the model's to choose


def translation_prompt(
    loaded: LoadedModel, source: str | None, target: str | None
) -> TranslationPrompt:
    """What to ask, for languages by name (`de`, or as the model spells it: `deu_Latn`).

    Raises ConfigError for a language that the model does not have, and where one must be named.
    """
    before, after = loaded.special_affixes
    if source is not None:
        token, leads = _language(loaded, source)
        if leads or not any(_is_language(loaded, i) for i in [*before, *after]):
            raise ConfigError(f"{loaded.folder} is not told the language of its source")
        before, after = (_replaced(loaded, ids, token) for ids in (before, after))
    start, first = loaded.decoder_start_id, loaded.generation.forced_bos_token_id
    if loaded.generation.decoder_start_token_id is None and loaded.tokenizer.special_affixes() != (
        [],
        [],
    ):
        start = None  # a published model whose start is the language to write
    if target is not None:
        token, leads = _language(loaded, target)
        if leads:
            before = [token, *before]
        elif start is None:
            start = token
        else:
            first = token
    if start is None:
        raise ConfigError(
            f"{loaded.folder} does not say what a translation starts with: name its language, --to"
        )
    return TranslationPrompt(before, after, start, first)


def _language(loaded: LoadedModel, name: str) -> tuple[int, bool]:
    """A language's token, and whether it stands before the source."""
    for spelling, leads in _SPELLINGS:
        token = loaded.tokenizer.token_id(spelling.format(name))
        if token is not None and (spelling != "{}" or _TOKEN.fullmatch(name)):
            return token, leads
    tokens = loaded.tokenizer.special_tokens()
    longer = [(token, i) for token, i in tokens.items() if token.startswith(f"{name}_")]
    if len(longer) == 1:
        return longer[0][1], False
    raise ConfigError(f"{loaded.folder} has no language {name!r}; it has: {_names(tokens)}")


def _names(tokens: Iterable[str]) -> str:
    """The languages among special tokens, as one would ask for them."""
    patterns = [re.escape(s).replace(r"\{\}", r"(\w+)") for s, _ in _SPELLINGS[:-1]]
    named = [m[1] for token in tokens for p in patterns if (m := re.fullmatch(p, token))]
    named += [token for token in tokens if _TOKEN.fullmatch(token) and not token.startswith("__")]
    return ", ".join(sorted(named)) or "none"


def _is_language(loaded: LoadedModel, token: int) -> bool:
    return bool(_TOKEN.fullmatch(loaded.tokenizer.token(token) or ""))


def _replaced(loaded: LoadedModel, ids: list[int], token: int) -> list[int]:
    return [token if _is_language(loaded, i) else i for i in ids]
