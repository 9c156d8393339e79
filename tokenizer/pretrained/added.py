"""Added tokens and special affixes, as the configuration of a published tokenizer has them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import tokenizers
from tokenizers import processors

from ..errors import TokenizerError
from ..limits import check_added_token
from .files import (
    ADDED_TOKENS,
    CONFIG,
    SPECIAL_TOKEN_FIELDS,
    AddedToken,
    Folder,
    Name,
    TokenizerConfig,
    token_text,
)


class TokenToAdd(NamedTuple):
    """A token to be recognized, and its id if the folder has one."""

    token: AddedToken
    token_id: int | None = None


def collect_added_tokens(
    folder: Folder, settings: TokenizerConfig, defaults: Mapping[str, str]
) -> tuple[TokenToAdd, ...]:
    """Return all added tokens, in the order in which new ids are assigned, each name once.

    `defaults` are the names that a family gives to bos_token and so on.
    """
    named = [getattr(settings, field) or defaults.get(field) for field in SPECIAL_TOKEN_FIELDS]
    extra = settings.extra_special_tokens or []
    extra = [*extra.values()] if isinstance(extra, dict) else extra
    names = (*named, *(settings.additional_special_tokens or ()), *extra)
    special = [_special(name) for name in names if name]
    tokens = {item.token.content: item for item in _with_ids(folder, settings, special)}
    for token in special:
        tokens.setdefault(token.content, TokenToAdd(token))
    return tuple(tokens.values())


def _special(token: Name) -> AddedToken:
    if isinstance(token, str):
        return AddedToken(token, normalized=False, special=True)
    return msgspec.structs.replace(token, special=True)


def _with_ids(
    folder: Folder, settings: TokenizerConfig, special: Sequence[AddedToken]
) -> list[TokenToAdd]:
    """Return the tokens of added_tokens_decoder or, without it, of added_tokens.json."""
    names = {token.content for token in special}
    if settings.added_tokens_decoder is None:
        return [
            TokenToAdd(
                AddedToken(text, normalized=text not in names, special=text in names), token_id
            )
            for text, token_id in sorted(folder.added_tokens().items(), key=lambda item: item[1])
        ]
    tokens = settings.added_tokens_decoder
    if not all(key.isdecimal() and len(key) < 10 for key in tokens):
        raise TokenizerError(
            f"{folder.path / CONFIG}: the keys of added_tokens_decoder must be ids"
        )
    return [TokenToAdd(tokens[key], int(key)) for key in sorted(tokens, key=int)]


def add_tokens(backend: tokenizers.Tokenizer, added: Iterable[TokenToAdd], folder: Folder) -> None:
    """Add tokens to a tokenizer. Raises TokenizerError if one has another id in its folder."""
    for token, _ in added:
        check_added_token(token.content)
    present = {token.content for token in backend.get_added_tokens_decoder().values()}
    backend.add_tokens(
        [
            tokenizers.AddedToken(**msgspec.structs.asdict(token))
            for token, token_id in added
            if token.content and (token_id is not None or token.content not in present)
        ]
    )
    for token, token_id in added:
        actual = backend.token_to_id(token.content)
        if token_id is not None and actual != token_id:
            raise TokenizerError(
                f"{folder.path}: {CONFIG} or {ADDED_TOKENS} gives the id {token_id} to "
                f"{token.content!r}, which has the id {actual} in the vocabulary"
            )


def set_special_affixes(
    backend: tokenizers.Tokenizer,
    before: Sequence[str],
    after: Sequence[str],
    *,
    between: Sequence[str] = (),
    second_type: int = 0,
) -> None:
    """Put special tokens around a text, and around and between two, as pairs are read.

    Tokens of a second text, and those after it, have `second_type`. Raises TokenizerError for a
    missing one.
    """
    ids = {name: backend.token_to_id(name) for name in (*before, *between, *after)}
    missing = [name for name, token_id in ids.items() if token_id is None]
    if missing:
        raise TokenizerError(f"no token is called {missing[0]!r}, which belongs around texts")
    single: list[str] = [*before, "$A", *after]
    second = [f"{name}:{second_type}" for name in ("$B", *after)]
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=[*before, "$A", *between, *second], special_tokens=[*ids.items()]
    )


def set_bos_and_eos(
    backend: tokenizers.Tokenizer, settings: TokenizerConfig, defaults: Mapping[str, str]
) -> None:
    """Put bos and eos around texts as add_bos_token and add_eos_token say, if present."""
    if settings.add_bos_token is None and settings.add_eos_token is None:
        return
    bos = settings.bos_token or defaults.get("bos_token")
    eos = settings.eos_token or defaults.get("eos_token")
    before = [token_text(bos)] if settings.add_bos_token and bos else []
    after = [token_text(eos)] if settings.add_eos_token and eos else []
    set_special_affixes(backend, before, after, between=[*after, *before])


@dataclass(frozen=True)
class LanguageAffix:
    """A family's token for the language of a text: before the text, or after its end token."""

    default: str
    template: str = "{}"
    after: bool = False


LANGUAGE_AFFIXES: dict[str, LanguageAffix] = {
    "MBartTokenizer": LanguageAffix("en_XX", after=True),
    "MBart50Tokenizer": LanguageAffix("en_XX"),
    "NllbTokenizer": LanguageAffix("eng_Latn"),
    "M2M100Tokenizer": LanguageAffix("en", template="__{}__"),
}


def set_language_affix(
    backend: tokenizers.Tokenizer, settings: TokenizerConfig, family: str
) -> None:
    """Put a family's language token around texts. Raises TokenizerError for an unknown language."""
    affix = LANGUAGE_AFFIXES[family]
    code = affix.template.format(settings.src_lang or affix.default)
    if backend.token_to_id(code) is None:
        raise TokenizerError(
            f"{CONFIG}: the tokenizer has no language src_lang={settings.src_lang!r}; "
            f"looked for the token {code}"
        )
    end = token_text(settings.eos_token or "</s>")
    if affix.after or settings.legacy_behaviour:
        set_special_affixes(backend, [], [end, code])
    else:
        set_special_affixes(backend, [code], [end])
