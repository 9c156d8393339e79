"""Added tokens and frames, as a published tokenizer's settings ask for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import tokenizers
from tokenizers import processors

from ..errors import TokenizerError
from ..limits import check_added
from .files import ADDED_TOKENS, CONFIG, NAMED, AddedToken, Folder, Name, Settings, name_of


class Wanted(NamedTuple):
    """A token that is to be recognised, and the id that its folder gives it."""

    token: AddedToken
    token_id: int | None = None


def wanted_tokens(
    folder: Folder, settings: Settings, defaults: Mapping[str, str]
) -> tuple[Wanted, ...]:
    """All added tokens, in the order in which new ids are given out; each name once.

    `defaults` are the names that a family gives to bos_token and so on.
    """
    named = [getattr(settings, field) or defaults.get(field) for field in NAMED]
    extra = settings.extra_special_tokens or []
    extra = [*extra.values()] if isinstance(extra, dict) else extra
    names = (*named, *(settings.additional_special_tokens or ()), *extra)
    special = [_special(name) for name in names if name]
    found = {item.token.content: item for item in _with_ids(folder, settings, special)}
    for token in special:
        found.setdefault(token.content, Wanted(token))
    return tuple(found.values())


def _special(token: Name) -> AddedToken:
    if isinstance(token, str):
        return AddedToken(token, normalized=False, special=True)
    return msgspec.structs.replace(token, special=True)


def _with_ids(folder: Folder, settings: Settings, special: Sequence[AddedToken]) -> list[Wanted]:
    """The tokens of added_tokens_decoder or, where there is none, of added_tokens.json."""
    names = {token.content for token in special}
    if settings.added_tokens_decoder is None:
        return [
            Wanted(AddedToken(text, normalized=text not in names, special=text in names), token_id)
            for text, token_id in sorted(folder.added_tokens().items(), key=lambda item: item[1])
        ]
    tokens = settings.added_tokens_decoder
    if not all(key.isdecimal() and len(key) < 10 for key in tokens):
        raise TokenizerError(
            f"{folder.path / CONFIG}: the keys of added_tokens_decoder must be ids"
        )
    return [Wanted(tokens[key], int(key)) for key in sorted(tokens, key=int)]


def add_tokens(backend: tokenizers.Tokenizer, wanted: Iterable[Wanted], folder: Folder) -> None:
    """Have the tokens recognised. Raises TokenizerError where one gets another id than it has."""
    for token, _ in wanted:
        check_added(token.content)
    present = {token.content for token in backend.get_added_tokens_decoder().values()}
    backend.add_tokens(
        [
            tokenizers.AddedToken(**msgspec.structs.asdict(token))
            for token, token_id in wanted
            if token.content and (token_id is not None or token.content not in present)
        ]
    )
    for token, token_id in wanted:
        found = backend.token_to_id(token.content)
        if token_id is not None and found != token_id:
            raise TokenizerError(
                f"{folder.path}: {CONFIG} or {ADDED_TOKENS} gives the id {token_id} to "
                f"{token.content!r}, which has the id {found} in the vocabulary"
            )


def set_frame(backend: tokenizers.Tokenizer, before: Sequence[str], after: Sequence[str]) -> None:
    """Have single texts framed by special tokens. Raises TokenizerError for one that is missing."""
    ids = {name: backend.token_to_id(name) for name in (*before, *after)}
    missing = [name for name, token_id in ids.items() if token_id is None]
    if missing:
        raise TokenizerError(f"no token is called {missing[0]!r}, with which texts are framed")
    single: list[str] = [*before, "$A", *after]
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=[*before, "$A", "$B", *after], special_tokens=[*ids.items()]
    )


def set_asked_frame(
    backend: tokenizers.Tokenizer, settings: Settings, defaults: Mapping[str, str]
) -> None:
    """The frame that add_bos_token and add_eos_token ask for, where they say anything."""
    if settings.add_bos_token is None and settings.add_eos_token is None:
        return
    bos = settings.bos_token or defaults.get("bos_token")
    eos = settings.eos_token or defaults.get("eos_token")
    before = [name_of(bos)] if settings.add_bos_token and bos else []
    after = [name_of(eos)] if settings.add_eos_token and eos else []
    set_frame(backend, before, after)


@dataclass(frozen=True)
class LanguageFrame:
    """How a family shows the language of a text: by a token before it, or after its end."""

    default: str
    spelled: str = "{}"
    after: bool = False


LANGUAGE_FRAMES: dict[str, LanguageFrame] = {
    "MBartTokenizer": LanguageFrame("en_XX", after=True),
    "MBart50Tokenizer": LanguageFrame("en_XX"),
    "NllbTokenizer": LanguageFrame("eng_Latn"),
    "M2M100Tokenizer": LanguageFrame("en", spelled="__{}__"),
}


def set_language_frame(backend: tokenizers.Tokenizer, settings: Settings, family: str) -> None:
    """The frame of a multilingual family. Raises TokenizerError for a language that it has not."""
    kind = LANGUAGE_FRAMES[family]
    code = kind.spelled.format(settings.src_lang or kind.default)
    if backend.token_to_id(code) is None:
        raise TokenizerError(
            f"{CONFIG}: the tokenizer has no language src_lang={settings.src_lang!r}; "
            f"looked for the token {code}"
        )
    end = name_of(settings.eos_token or "</s>")
    if kind.after or settings.legacy_behaviour:
        set_frame(backend, [], [end, code])
    else:
        set_frame(backend, [code], [end])
