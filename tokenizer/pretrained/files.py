"""A published tokenizer's folder: its files, read with care, and its settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import TokenizerError

MAX_FILE_BYTES = 256 << 20
LFS_POINTER = b"version https://git-lfs"
CONFIG, MODEL_CONFIG = "tokenizer_config.json", "config.json"
SPECIAL_TOKENS_MAP, ADDED_TOKENS = "special_tokens_map.json", "added_tokens.json"

Parsed = TypeVar("Parsed")


class AddedToken(msgspec.Struct, frozen=True):
    """An added token as configuration files spell it."""

    content: str
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = True
    special: bool = False


Name = str | AddedToken


class Settings(msgspec.Struct):
    """What tokenizer_config.json says that bears on ids and text; other fields are let be."""

    tokenizer_class: str | None = None
    bos_token: Name | None = None
    eos_token: Name | None = None
    unk_token: Name | None = None
    sep_token: Name | None = None
    pad_token: Name | None = None
    cls_token: Name | None = None
    mask_token: Name | None = None
    additional_special_tokens: list[Name] | None = None
    extra_special_tokens: list[Name] | dict[str, Name] | None = None
    added_tokens_decoder: dict[str, AddedToken] | None = None
    add_bos_token: bool | None = None
    add_eos_token: bool | None = None
    add_prefix_space: bool | None = None
    clean_up_tokenization_spaces: bool | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    do_basic_tokenize: bool | None = None
    extra_ids: int | None = None
    auto_map: Any = None
    legacy: bool | None = None
    legacy_behaviour: bool | None = None
    src_lang: str | None = None
    language_codes: str | None = None
    separate_vocabs: bool | None = None
    # Asked for by some folders, and refused by `refuse` unless they ask for nothing.
    never_split: list[str] | None = None
    sp_model_kwargs: dict[str, Any] | None = None
    do_split_on_punc: bool | None = None
    word_tokenizer_type: str | None = None
    subword_tokenizer_type: str | None = None
    remove_space: bool | None = None
    keep_accents: bool | None = None


NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

# Settings that nothing here obeys, and the values that ask for nothing.
REFUSED: dict[str, tuple[Any, ...]] = {
    "never_split": (None, []),
    "sp_model_kwargs": (None, {}),
    "do_split_on_punc": (None, True),
    "word_tokenizer_type": (None, "basic"),
    "subword_tokenizer_type": (None, "wordpiece"),
    "remove_space": (None, True),
    "keep_accents": (None, True),
}


class _SpecialTokens(msgspec.Struct, omit_defaults=True):
    bos_token: Name | None = None
    eos_token: Name | None = None
    unk_token: Name | None = None
    sep_token: Name | None = None
    pad_token: Name | None = None
    cls_token: Name | None = None
    mask_token: Name | None = None
    additional_special_tokens: list[Name] | None = None


class _ModelConfig(msgspec.Struct):
    model_type: str | None = None


@dataclass(frozen=True)
class Folder:
    """A folder of files. Whatever is wrong with one is a TokenizerError that names it."""

    path: Path
    tokens: int | None = None  # of the model's vocabulary, where it is known

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.path / name).exists() or (self.path / name).is_symlink()

    @property
    def most_bytes(self) -> int:
        """How large a file may be: a vocabulary and its merges have some 200 bytes a token."""
        if self.tokens is None:
            return MAX_FILE_BYTES
        return min(MAX_FILE_BYTES, (4 << 20) + 1000 * self.tokens)

    def bytes(self, name: str) -> bytes:
        """A file's contents."""
        path = self.path / name
        try:
            size = path.stat().st_size
            if not path.is_file():
                raise TokenizerError(f"{path} is no file")
            if size > self.most_bytes:
                raise TokenizerError(
                    f"{path} is {size >> 20} MiB large; files of such a tokenizer are read up to "
                    f"{self.most_bytes >> 20} MiB"
                )
            data = path.read_bytes()
        except OSError as error:
            raise TokenizerError(f"{path} cannot be read: {error.strerror}") from None
        if data.startswith(LFS_POINTER):
            raise TokenizerError(
                f"{path} is a Git LFS pointer and not the file itself; fetch it with: git lfs pull"
            )
        return data

    def text(self, name: str) -> str:
        """A file's contents, which are to be UTF-8."""
        try:
            return self.bytes(name).decode()
        except UnicodeDecodeError as error:
            raise TokenizerError(f"{self.path / name} is not UTF-8: {error}") from None

    def json(self, name: str, kind: type[Parsed]) -> Parsed:
        """A JSON file of a given type."""
        try:
            return msgspec.json.decode(self.bytes(name), type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise TokenizerError(f"{self.path / name} cannot be used: {problem}") from None

    def json_or(self, name: str, kind: Callable[[], Parsed]) -> Parsed:
        """A JSON file of a given type; an empty one of it where there is no file."""
        return self.json(name, kind) if self.has(name) else kind()  # type: ignore[arg-type]

    def vocabulary(self, name: str) -> dict[str, int]:
        """A JSON file of tokens and their ids, which run from 0 without gaps."""
        vocabulary = self.json(name, dict[str, int])
        if not vocabulary:
            raise TokenizerError(f"{self.path / name} holds no tokens")
        if sorted(vocabulary.values()) != [*range(len(vocabulary))]:
            raise TokenizerError(
                f"{self.path / name}: the ids of its {len(vocabulary)} tokens must be 0 to "
                f"{len(vocabulary) - 1}, each once; some are missing or stand twice"
            )
        return vocabulary

    def settings(self) -> Settings:
        """What tokenizer_config.json and the older files beside it say."""
        settings = self.json_or(CONFIG, Settings)
        if settings.auto_map:
            raise TokenizerError(
                f"{self.path / CONFIG} asks for code of its own (auto_map), and no code from a "
                "model is ever run"
            )
        if settings.added_tokens_decoder is None:  # else the older files repeat it, or are stale
            names = self.json_or(SPECIAL_TOKENS_MAP, _SpecialTokens)
            for field, value in msgspec.structs.asdict(names).items():
                if value is not None:
                    setattr(settings, field, value)
        return settings

    def refuse(self, settings: Settings) -> None:
        """Raise TokenizerError for what no reader obeys (a tokenizer.json obeys it by itself)."""
        for field, harmless in REFUSED.items():
            if getattr(settings, field) not in harmless:
                raise TokenizerError(
                    f"{self.path / CONFIG} asks for {field}={getattr(settings, field)!r}, "
                    "which is not supported; remove it if the model works without"
                )

    def added_tokens(self) -> dict[str, int]:
        """Tokens of the older added_tokens.json, and their ids."""
        return self.json(ADDED_TOKENS, dict[str, int]) if self.has(ADDED_TOKENS) else {}

    def model_type(self) -> str | None:
        """The architecture that config.json names."""
        return self.json_or(MODEL_CONFIG, _ModelConfig).model_type


def name_of(token: Name) -> str:
    """A token's text."""
    return token if isinstance(token, str) else token.content
