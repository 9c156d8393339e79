"""The library llguidance: its errors as ours, and a model's tokens as it takes them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from tokenizer import Tokenizer
from tokenizer.token_bytes import token_bytes

from ...errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from llguidance import LLTokenizer


def llguidance_module() -> Any:
    """Return llguidance; raise MissingExtraError where it is not installed."""
    try:
        import llguidance  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("a grammar", "llguidance", extra="constrained") from None
    return llguidance


def error_line(message: str) -> str:
    """Return llguidance's message as one line."""
    lines = message.partition("\n<")[0].splitlines() or ["it is not supported"]
    line = next((line for line in lines if line.startswith("error: ")), lines[0])
    line = re.sub(r"^(at \d+\(\d+\): |failed to compile JSON schema: |error: )*", "", line)
    return line.partition(". Enable ")[0].replace("json-schema:///", "")[:200]


@contextmanager
def config_errors(name: str) -> Iterator[None]:
    """Raise llguidance's exceptions and panics as ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ConfigError(f"{name}: {error_line(str(error))}") from None


class _TokenizerAdapter:
    """Wrapper of tokens in the shape that llguidance expects of a tokenizer."""

    is_tokenizer_wrapper = True
    eos_token_id, bos_token_id = 0, None
    special_token_ids: Sequence[int] = ()

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens

    def __call__(self, text: object) -> list[int]:
        """Raise NotImplementedError: llguidance calls this only to force tokens, which is off."""
        raise NotImplementedError


class Vocabulary:
    """Vocabulary of a model for llguidance: the distinct texts that its tokens may add.

    They are numbered from 1; 0 is none.
    """

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        known = token_bytes(tokenizer, size)
        texts = sorted({piece for piece in (*known.initial, *known.inner) if piece})
        index = {piece: n for n, piece in enumerate(texts, start=1)}
        self.skipped_ids, self.trims_end = known.skipped_ids, known.trims_end
        self.texts = [b"", *texts]
        self.initial, self.inner = (
            np.array([index[piece] if piece else 0 for piece in row], dtype=np.int64)
            for row in (known.initial, known.inner)
        )
        self.initial_space = (self.initial == 0) & (
            self.inner != 0
        )  # a space, dropped from a text's start
        with config_errors("the tokenizer"):
            self.library: LLTokenizer = llguidance_module().LLTokenizer(
                _TokenizerAdapter(self.texts)
            )


_vocabularies: "WeakKeyDictionary[Tokenizer, dict[int, Vocabulary]]" = WeakKeyDictionary()


def vocabulary_of(tokenizer: Tokenizer, size: int) -> Vocabulary:
    """Return a tokenizer's vocabulary, made once: it takes a tenth of a second."""
    llguidance_module()
    by_size = _vocabularies.setdefault(tokenizer, {})
    if size not in by_size:
        by_size[size] = Vocabulary(tokenizer, size)
    return by_size[size]
