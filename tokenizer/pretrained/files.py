"""Files of a published tokenizer's folder, read with limits, and its configuration."""

from collections.abc import Callable, Mapping
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


class TokenizerConfig(msgspec.Struct):
    """The fields of tokenizer_config.json that affect ids and text; others are ignored."""

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
    # Refused by `refuse_unsupported`, unless they have no effect.
    never_split: list[str] | None = None
    sp_model_kwargs: dict[str, Any] | None = None
    do_split_on_punc: bool | None = None
    word_tokenizer_type: str | None = None
    subword_tokenizer_type: str | None = None
    remove_space: bool | None = None
    keep_accents: bool | None = None


SPECIAL_TOKEN_FIELDS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)

# Settings that are not supported, and their values that have no effect.
UNSUPPORTED: dict[str, tuple[Any, ...]] = {
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
    """A folder of files. Every problem with one is a TokenizerError that names it."""

    path: Path
    tokens: int | None = None  # of the model's vocabulary, if known

    def has(self, name: str) -> bool:
        """Return True if there is a file, or a link, of that name."""
        return (self.path / name).exists() or (self.path / name).is_symlink()

    @property
    def max_file_bytes(self) -> int:
        """The limit of a file's size: a vocabulary and its merges take some 200 bytes per token."""
        if self.tokens is None:
            return MAX_FILE_BYTES
        return min(MAX_FILE_BYTES, (4 << 20) + 1000 * self.tokens)

    def bytes(self, name: str) -> bytes:
        """Return the contents of a file."""
        path = self.path / name
        try:
            size = path.stat().st_size
            if not path.is_file():
                raise TokenizerError(f"{path} is no file")
            if size > self.max_file_bytes:
                raise TokenizerError(
                    f"{path} is {size >> 20} MiB large; files of such a tokenizer are read up to "
                    f"{self.max_file_bytes >> 20} MiB"
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
        """Return the contents of a UTF-8 file."""
        try:
            return self.bytes(name).decode()
        except UnicodeDecodeError as error:
            raise TokenizerError(f"{self.path / name} is not UTF-8: {error}") from None

    def json(self, name: str, kind: type[Parsed]) -> Parsed:
        """Return the contents of a JSON file as a type."""
        try:
            return msgspec.json.decode(self.bytes(name), type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise TokenizerError(f"{self.path / name} cannot be used: {problem}") from None

    def json_or(self, name: str, kind: Callable[[], Parsed]) -> Parsed:
        """Return the contents of a JSON file as a type, or an empty value if there is no file."""
        return self.json(name, kind) if self.has(name) else kind()  # type: ignore[arg-type]

    def vocabulary(self, name: str) -> dict[str, int]:
        """Return the ids of tokens from a JSON file; they must run from 0 without gaps."""
        vocabulary = self.json(name, dict[str, int])
        if not vocabulary:
            raise TokenizerError(f"{self.path / name} holds no tokens")
        if sorted(vocabulary.values()) != [*range(len(vocabulary))]:
            raise TokenizerError(
                f"{self.path / name}: the ids of its {len(vocabulary)} tokens must be 0 to "
                f"{len(vocabulary) - 1}, each once; some are missing or repeated"
            )
        return vocabulary

    def settings(self) -> TokenizerConfig:
        """Return tokenizer_config.json, with the special tokens of the older files beside it."""
        settings = self.json_or(CONFIG, TokenizerConfig)
        if settings.auto_map:
            raise TokenizerError(
                f"{self.path / CONFIG} asks for code of its own (auto_map), and no code from a "
                "model is ever run"
            )
        if settings.added_tokens_decoder is None:  # else the older files repeat it, or are outdated
            names = self.json_or(SPECIAL_TOKENS_MAP, _SpecialTokens)
            for field, value in msgspec.structs.asdict(names).items():
                if value is not None:
                    setattr(settings, field, value)
        return settings

    def refuse_unsupported(self, settings: TokenizerConfig) -> None:
        """Raise TokenizerError for settings that no reader follows (a tokenizer.json has them)."""
        for field, harmless in UNSUPPORTED.items():
            if getattr(settings, field) not in harmless:
                raise TokenizerError(
                    f"{self.path / CONFIG} asks for {field}={getattr(settings, field)!r}, "
                    "which is not supported; remove it if the model works without"
                )

    def added_tokens(self) -> dict[str, int]:
        """Return the ids of tokens from the older added_tokens.json."""
        return self.json(ADDED_TOKENS, dict[str, int]) if self.has(ADDED_TOKENS) else {}

    def model_type(self) -> str | None:
        """Return the architecture that config.json names."""
        return self.json_or(MODEL_CONFIG, _ModelConfig).model_type


def token_text(token: Name) -> str:
    """Return the text of a token."""
    return token if isinstance(token, str) else token.content


def token_name(settings: TokenizerConfig, defaults: Mapping[str, str], field: str) -> str:
    """Return a special token's text: as configured, else the family's default."""
    return token_text(getattr(settings, field) or defaults[field])
