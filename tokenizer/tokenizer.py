"""Text ↔ ids: a trained tokenizer, kept in one tokenizer.json."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import tokenizers
from tokenizers.decoders import DecodeStream
from tokenizers.processors import TemplateProcessing

from .errors import TokenizerError
from .limits import check_contents, may_run_away
from .special import OUT_OF_VOCABULARY, ROLES
from .special_encoding import SpecialTokenEncoder

SpecialAffixes = tuple[list[int], list[int]]  # what stands before and after a text


class _RefusedError(TokenizerError):
    """What the library refused, and why."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason


class Tokenizer:
    """Encode and decode text. Special tokens spelled out in a text are ordinary text here, so that
    no input can end a sentence or fill it with padding; tags and added tokens are recognised."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True
        self.backend.no_padding()
        self.backend.no_truncation()
        self._quiet = may_run_away(self.backend)
        self._learnt = self.backend.token_to_id(
            OUT_OF_VOCABULARY
        )  # ids below have a meaning of their own

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read a tokenizer.json. Raises OSError, or TokenizerError when it is damaged."""
        text = path.read_text(encoding="utf-8", errors="replace")
        return cls.from_json(text, name=str(path))

    @classmethod
    def from_json(cls, text: str, *, name: str = "tokenizer.json") -> "Tokenizer":
        """Build from the contents of a tokenizer.json; `name` is for messages."""
        with usable(name):
            check_contents(text)
            return cls(tokenizers.Tokenizer.from_str(text))

    def to_json(self, *, frame: SpecialAffixes | None = None) -> str:
        """The contents of a tokenizer.json; with a frame, one that puts it around texts."""
        text = self.backend.to_str(pretty=True)
        if frame is None or frame == self.special_affixes():
            return text
        framed = tokenizers.Tokenizer.from_str(text)
        before, after = ([str(self.token(i)) for i in ids] for ids in frame)
        names = {name: framed.token_to_id(name) for name in [*before, *after]}
        framed.post_processor = TemplateProcessing(
            single=[*before, "$A", *after],
            pair=[*before, "$A", *after, "$B:1", *(f"{name}:1" for name in after)],
            special_tokens=list(names.items()),
        )
        return framed.to_str(pretty=True)

    def save(self, path: Path) -> None:
        """Write a tokenizer.json."""
        path.write_text(self.to_json(), encoding="utf-8")

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        if self._learnt is not None:
            return self._learnt
        return self.backend.get_vocab_size(with_added_tokens=True)

    @property
    def largest_id(self) -> int:
        """The largest id that a text can become: ids may have gaps."""
        if self._learnt is not None:
            return self._learnt - 1
        framing = (token_id for ids in self.special_affixes() for token_id in ids)
        return max((*self.backend.get_vocab(with_added_tokens=True).values(), *framing), default=0)

    def role(self, name: str) -> int | None:
        """The id of a special token by its role (a key of ROLES); None where there is none."""
        ids = (self.backend.token_to_id(token) for token in ROLES[name])
        return next((token_id for token_id in ids if token_id is not None), None)

    def require_role(self, name: str) -> int:
        """Like `role`. Raises TokenizerError where there is none."""
        token_id = self.role(name)
        if token_id is None:
            raise TokenizerError(
                f"the tokenizer has no {name} token; looked for: {', '.join(ROLES[name])}"
            )
        return token_id

    def token_id(self, token: str) -> int | None:
        """The id of a token by its exact name."""
        return self.backend.token_to_id(token)

    def token(self, token_id: int) -> str | None:
        """The exact name of a token by its id."""
        return self.backend.id_to_token(token_id)

    def special_tokens(self) -> dict[str, int]:
        """The tokens that are names rather than text, and their ids."""
        added = self.backend.get_added_tokens_decoder().items()
        return {token.content: token_id for token_id, token in added if token.special}

    def encode(self, text: str) -> list[int]:
        """Text to ids, without special tokens around it."""
        with self._working():
            return self._known(self.backend.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Many texts at once, on all cores."""
        with self._working():
            rows = self.backend.encode_batch_fast(texts, add_special_tokens=False)
        return [self._known(row.ids) for row in rows]

    def encode_with_specials(self, text: str, *, ordinary: Collection[int] = ()) -> list[int]:
        """Text to ids, in which special tokens spelled out are recognised, but for those that
        begin at places in `ordinary`."""
        with self._working():
            return self._known(self._speller.encode(text, ordinary))

    @cached_property
    def _speller(self) -> SpecialTokenEncoder:
        return SpecialTokenEncoder(self.backend)

    def _known(self, ids: list[int]) -> list[int]:
        if self._learnt is None:
            return ids
        unknown = self.require_role("unknown")
        return [token_id if token_id < self._learnt else unknown for token_id in ids]

    @contextmanager
    def _working(self) -> Iterator[None]:
        """What the library finds wrong with a text is a TokenizerError."""
        with refused("the tokenizer cannot be used with this text"):
            if not self._quiet:
                yield
                return
            with _stderr, _silent():
                yield

    def special_affixes(self) -> SpecialAffixes:
        """The ids that belong before and after a single text."""
        with self._working():
            found = self.backend.encode("a", add_special_tokens=True)
        added = found.special_tokens_mask
        if 0 not in added:  # no text to see them around
            return [], []
        last = len(added) - added[::-1].index(0)
        return found.ids[: added.index(0)], found.ids[last:]

    def pieces(self, text: str) -> list[str]:
        """The tokens of a text, by name."""
        with self._working():
            return self.backend.encode(text, add_special_tokens=False).tokens

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text; special tokens are left out."""
        with self._working():
            return self.backend.decode(list(ids), skip_special_tokens=True)

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Many rows at once."""
        with self._working():
            return self.backend.decode_batch([list(row) for row in rows], skip_special_tokens=True)

    def stream(self, before: Sequence[int] = ()) -> "Stream":
        """A decoder that is fed one id after another; `before` was shown already."""
        return Stream(self, before)

    def describe(self) -> dict[str, Any]:
        """What one would want to know of it at a glance."""
        data = json.loads(self.backend.to_str())
        special = {t["content"]: t["id"] for t in data["added_tokens"]}
        return {"kind": data["model"]["type"], "vocabulary": self.vocab_size, "special": special}


class Stream:
    """Text as it is written, id by id, that never ends inside a character."""

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(ids=list(before), skip_special_tokens=True)
        self._ids = list(before)
        self._shown = len(tokenizer.decode(before))

    def feed(self, token_id: int) -> str:
        """The text that this id completes; empty when it ends inside a character."""
        self._ids.append(token_id)
        with refused("the tokenizer cannot be used with this text"):
            text = self._stream.step(self._tokenizer.backend, token_id) or ""
        self._shown += len(text)
        return text

    def flush(self) -> str:
        """What was held back, once no more ids come."""
        return self._tokenizer.decode(self._ids)[self._shown :]


_stderr = RLock()


@contextmanager
def usable(name: str) -> Iterator[None]:
    """What the library finds wrong with a file's contents is a TokenizerError that names the file.

    Its panics are no Exceptions, and write a trace to the descriptor of stderr.
    """
    with refused(f"{name} is no usable tokenizer"), _stderr, _silent():
        yield


@contextmanager
def refused(what: str) -> Iterator[None]:
    """The library's exceptions and panics as a TokenizerError that says what was refused."""
    try:
        yield
    except _RefusedError as error:
        raise _RefusedError(what, error.reason) from None
    except TokenizerError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise _RefusedError(what, _first_line(error)) from None


@contextmanager
def _silent() -> Iterator[None]:
    """The process's stderr put aside, also for code that is not Python's."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
