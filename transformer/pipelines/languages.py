"""Language tokens of multilingual models: in the source, or as the first target token."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import msgspec

from ..errors import ConfigError
from ..loading import ModelTexts, TextProperties
from ..loading.language_tokens import LANGUAGE_TOKEN, TOKEN_FORMATS, language_names


class TranslationPrompt(NamedTuple):
    """The tokens around a source text, and those with which its translation begins."""

    source_prefix: list[int]
    source_suffix: list[int]
    decoder_start_id: int
    forced_first: int | None  # the first target token, where the model does not choose it


def translation_prompt(
    loaded: TextProperties, source_language: str | None, target_language: str | None
) -> TranslationPrompt:
    """Build the prompt for languages by name: `de`, or as the model spells it, `deu_Latn`.

    Raises ConfigError for a language that the model lacks, and where a target language is required.
    """
    _check_languages(loaded, {"--from": source_language, "--to": target_language})
    source_prefix, source_suffix = loaded.special_affixes
    if source_language is not None:
        token, before_source = _language_token(loaded, source_language)
        affixes = [*source_prefix, *source_suffix]
        if before_source or not any(_is_language_token(loaded, i) for i in affixes):
            raise ConfigError(f"{loaded.folder} takes no source language: leave out --from")
        source_prefix = _replace_language(loaded, source_prefix, token)
        source_suffix = _replace_language(loaded, source_suffix, token)
    start_id, forced_first = loaded.decoder_start_id, loaded.generation.forced_bos_token_id
    has_affixes = loaded.tokenizer.special_affixes() != ([], [])
    if loaded.generation.decoder_start_token_id is None and has_affixes:
        start_id = None  # a published model that starts with the target language
    if target_language is not None:
        token, before_source = _language_token(loaded, target_language)
        if before_source:
            source_prefix = [token, *source_prefix]
        elif start_id is None or _is_language_token(loaded, start_id):
            start_id = token
        else:
            forced_first = token
    if start_id is None or (forced_first is None and _starts_with_a_language(loaded, start_id)):
        raise ConfigError(
            f"{loaded.folder} translates into several languages, the target's token coming first: "
            f"name one with --to; it has: {_language_names(_target_languages(loaded))}"
        )
    return TranslationPrompt(source_prefix, source_suffix, start_id, forced_first)


def with_languages(
    texts: ModelTexts, source_language: str | None, target_language: str | None
) -> ModelTexts:
    """Return the texts of a model that translates between these languages unless told otherwise.

    Raises what `translation_prompt` raises.
    """
    prompt = translation_prompt(texts, source_language, target_language)
    affixes = (prompt.source_prefix, prompt.source_suffix)
    generation = msgspec.structs.replace(
        texts.generation,
        decoder_start_token_id=prompt.decoder_start_id,
        forced_bos_token_id=prompt.forced_first,
    )
    is_own = affixes == texts.special_affixes
    return replace(
        texts,
        generation=generation,
        source_affixes=texts.source_affixes if is_own else affixes,
    )


def language_codes(texts: TextProperties) -> tuple[str | None, str | None]:
    """Return the languages that a model reads and writes unless told otherwise, if any.

    They are spelled as `transformers` names them: `de`, `de_DE` or `deu_Latn`.
    """
    before, after = texts.special_affixes
    first = (texts.generation.forced_bos_token_id, texts.decoder_start_id)
    sides = ((texts.tokenizer, (*before, *after)), (texts.target_tokenizer, first))
    tokens = (
        next(filter(LANGUAGE_TOKEN.fullmatch, (t.token(i) or "" for i in ids if i is not None)), "")
        for t, ids in sides
    )
    source, target = (token.strip("_") or None for token in tokens)
    return source, target


def _check_languages(loaded: TextProperties, languages: Mapping[str, str | None]) -> None:
    """Raise ConfigError for languages, by their options, where the model lets none be chosen."""
    given = [option for option, name in languages.items() if name is not None]
    tokens = {**loaded.tokenizer.special_tokens(), **loaded.target_tokenizer.special_tokens()}
    if given and not language_names(tokens):
        raise ConfigError(
            f"{loaded.folder} has no tokens for languages: it always translates from the language "
            f"that it was trained on into the other; leave out {' and '.join(given)}"
        )


def _starts_with_a_language(loaded: TextProperties, start_id: int) -> bool:
    """Return True if a language's token is to follow the start token."""
    return len(_target_languages(loaded)) > 1 and not _is_language_token(loaded, start_id)


def _target_languages(loaded: TextProperties) -> list[str]:
    """Return the special tokens of languages that begin a target text."""
    tokens = loaded.target_tokenizer.special_tokens()
    return [token for token in tokens if LANGUAGE_TOKEN.fullmatch(token)]


def _language_token(loaded: TextProperties, name: str) -> tuple[int, bool]:
    """Return a language's token, and whether it stands before the source."""
    for pattern, before_source in TOKEN_FORMATS:
        token = loaded.tokenizer.token_id(pattern.format(name))
        if token is not None and (pattern != "{}" or LANGUAGE_TOKEN.fullmatch(name)):
            return token, before_source
    tokens = loaded.tokenizer.special_tokens()
    regional = [(token, i) for token, i in tokens.items() if token.startswith(f"{name}_")]
    if len(regional) == 1:
        return regional[0][1], False
    raise ConfigError(
        f"{loaded.folder} has no language {name!r}; it has: {_language_names(tokens)}"
    )


def _language_names(tokens: Iterable[str]) -> str:
    """List the languages among the special tokens, by the names that a user gives."""
    return ", ".join(language_names(tokens)) or "none"


def _is_language_token(loaded: TextProperties, token: int) -> bool:
    return bool(LANGUAGE_TOKEN.fullmatch(loaded.tokenizer.token(token) or ""))


def _replace_language(loaded: TextProperties, ids: list[int], token: int) -> list[int]:
    """Replace the language tokens among `ids`."""
    return [token if _is_language_token(loaded, i) else i for i in ids]
