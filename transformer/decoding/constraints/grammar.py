"""Texts that obey a grammar: which tokens may follow, by the library llguidance."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from tokenizer import Tokenizer
from tokenizer.token_bytes import token_bytes

from ...errors import ConfigError, MissingExtraError
from ...registry import Registry
from ..request import Constraint
from .json_schema import checked

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_KEPT = 2048  # states of a constraint, of some 15 kB
_OPTIONS = '%llguidance {"no_forcing": true}\n'  # all tokens that fit, not just the usual spelling

# No \uXXXX, which spells names that are taken otherwise; not spaces without end.
_JSON = {"json_allowed_escapes": 'nrbtf\\"', "whitespace_pattern": r"[\x20\x0A\x09]{1,32}"}


@dataclass(frozen=True)
class Grammar:
    """What all of a text must be. Of a model's tokens it becomes a constraint."""

    name: str  # for messages
    source: str  # in the library's language

    def __call__(
        self,
        tokenizer: Tokenizer,
        vocab_size: int,
        *,
        end: Collection[int],
        forced_first: int | None = None,
        continuing: bool = False,
    ) -> Constraint:
        """Compile the constraint of what a model with these tokens writes.

        `end`: the ids that end a text. `forced_first`: a special token that comes before it.
        `continuing`: what is written follows a prompt's text, rather than begins one. Raises
        ConfigError where the tokens cannot write any such text.
        """
        vocabulary = _vocabulary(tokenizer, vocab_size)
        follow = _Following(
            vocabulary,
            self.matcher(vocabulary.library),
            end=[i for i in sorted(end) if i < vocab_size],
            begun=continuing,
            forced=forced_first if forced_first in vocabulary.silent else None,
        )
        if not len(follow([])):
            raise ConfigError(f"{self.name}: no token of the model begins such a text")
        return follow

    def matcher(self, library: "LLTokenizer") -> "LLMatcher":
        """A fresh state of the library's. Raises ConfigError for what it cannot keep."""
        from llguidance import LLMatcher, LLParserLimits  # noqa: PLC0415

        with _refused(self.name):
            limits = LLParserLimits(verbose_errors=False)
            found = LLMatcher(library, _OPTIONS + self.source, log_level=0, limits=limits)
        if found.is_error():
            raise ConfigError(f"{self.name}: {_reason(found.get_error())}")
        return found


def regular_expression(pattern: str) -> Grammar:
    """Texts that match all of a regular expression, without lookaround and references to groups.

    Raises ConfigError for one that is none, or that no text matches.
    """
    library = _library()
    name = f"the regular expression {_short(pattern)}"
    with _refused(name):
        source = f"start: /{library.regex_to_lark(pattern, '')}/"
    return _tried(Grammar(name, source))


def choices(texts: Sequence[str]) -> Grammar:
    """One of some texts."""
    if not texts or not all(texts):
        raise ConfigError("choices need at least one text, and none may be empty")
    escaped = (re.sub(r"[^\w ]", _escaped, text, flags=re.ASCII) for text in texts)
    library = _library()
    alternatives = library.regex_to_lark("|".join(escaped), "")
    return _tried(Grammar(f"the choices {_short(', '.join(texts))}", f"start: /{alternatives}/"))


def json_schema(schema: Any) -> Grammar:
    """JSON that a schema describes, given as its text or as plain values; see `schemas`.

    Raises ConfigError for a keyword that cannot be kept, and for what nothing satisfies.
    """
    _library()
    try:
        given = json.loads(schema) if isinstance(schema, str | bytes) else schema
        kept = checked(given)
        kept = {"x-guidance": _JSON, **(kept if isinstance(kept, dict) else {"allOf": [kept]})}
        text = json.dumps(kept, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"the JSON schema: {reason}") from None
    return _tried(Grammar("the JSON schema", f"start: %json {text}"))


GRAMMARS: Registry[Callable[[Any], Grammar]] = Registry(
    "grammar",
    {"regular-expression": regular_expression, "choices": choices, "json-schema": json_schema},
)


def _library() -> Any:
    try:
        import llguidance  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("a grammar", "llguidance", extra="constrained") from None
    return llguidance


def _tried(grammar: Grammar) -> Grammar:
    """A grammar that can be kept: what is wrong is told before a model is loaded."""
    with _refused(grammar.name):
        letters = _library().LLTokenizer("byte")
        found = grammar.matcher(letters)
        if not found.is_accepting():
            found.compute_bitmask()  # finds out whether anything can be written at all
    if found.is_error():
        raise ConfigError(f"{grammar.name}: no text satisfies it")
    return grammar


def _escaped(match: re.Match[str]) -> str:
    return rf"\x{{{ord(match[0]):x}}}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


def _reason(message: str) -> str:
    """What the library complains about, in one line."""
    lines = message.partition("\n<")[0].splitlines() or ["it cannot be kept"]
    told = next((line for line in lines if line.startswith("error: ")), lines[0])
    told = re.sub(r"^at \d+\(\d+\): |^failed to compile JSON schema: |^error: ", "", told)
    told = re.sub(r"^failed to compile JSON schema: ", "", told)
    return told[:200]


@contextmanager
def _refused(name: str) -> Iterator[None]:
    """The library's exceptions and panics as a ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ConfigError(f"{name}: {_reason(str(error))}") from None


class _Words:
    """What the library wants to know of a tokenizer."""

    is_tokenizer_wrapper = True
    eos_token_id, bos_token_id = 0, None
    special_token_ids: Sequence[int] = ()

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens

    def __call__(self, text: object) -> list[int]:
        """Only asked for the usual spelling of what must come, and that is switched off."""
        raise NotImplementedError


class _Vocabulary:
    """A model's tokens as the library sees them: the different texts that they may add, as numbers
    from 1; 0 is none."""

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        known = token_bytes(tokenizer, size)
        texts = sorted({piece for piece in (*known.first, *known.later) if piece})
        place = {piece: n for n, piece in enumerate(texts, start=1)}
        self.silent, self.trimmed = known.silent, known.trimmed
        self.texts = [b"", *texts]
        self.first, self.later = (
            np.array([place[piece] if piece else 0 for piece in row], dtype=np.int64)
            for row in (known.first, known.later)
        )
        self.blank = (self.first == 0) & (self.later != 0)  # a space, which is dropped at first
        with _refused("the tokenizer"):
            self.library: LLTokenizer = _library().LLTokenizer(_Words(self.texts))


_vocabularies: "WeakKeyDictionary[Tokenizer, dict[int, _Vocabulary]]" = WeakKeyDictionary()


def _vocabulary(tokenizer: Tokenizer, size: int) -> _Vocabulary:
    """Made once for each tokenizer: it takes a tenth of a second."""
    _library()
    made = _vocabularies.setdefault(tokenizer, {})
    if size not in made:
        made[size] = _Vocabulary(tokenizer, size)
    return made[size]


class _State(NamedTuple):
    """Where a grammar stands after some tokens."""

    matcher: "LLMatcher"  # shared by states; it is copied before it goes on
    begun: bool  # whether there is a first token of text
    spaced: bool = False  # whether the last token's text ends with a space


class _Following:
    """A Constraint: states are found by what was written, made from those of shorter texts."""

    def __init__(
        self,
        vocabulary: _Vocabulary,
        matcher: "LLMatcher",
        *,
        end: list[int],
        begun: bool,
        forced: int | None,
    ) -> None:
        self._vocabulary, self._end, self._forced = vocabulary, torch.tensor(end), forced
        self._root = _State(matcher, begun)
        self._states: OrderedDict[tuple[int, ...], _State | None] = OrderedDict()
        self._alone = Lock()  # engines of several threads share what they know

    def __call__(self, written: Sequence[int]) -> Tensor:
        """The ids that may follow."""
        if not written and self._forced is not None:
            return torch.tensor([self._forced])
        with self._alone:
            state = self._find(tuple(written))
            return torch.empty(0, dtype=torch.long) if state is None else self._allowed(state)

    def _find(self, written: tuple[int, ...]) -> _State | None:
        """The state after these tokens; None where the grammar does not let them come."""
        known = len(written)
        while known and written[:known] not in self._states:
            known -= 1
        state = self._states[written[:known]] if known else self._root
        for token in written[known:]:
            state = self._next(state, token) if state is not None else None
        if written:
            self._states[written] = state
            self._states.move_to_end(written)
        if len(self._states) > _KEPT:
            self._states.popitem(last=False)
        return state

    def _next(self, state: _State, token: int) -> _State | None:
        words = self._vocabulary
        if token in words.silent:
            return state
        if not state.begun and words.blank[token]:
            return state._replace(begun=True)
        place = int((words.later if state.begun else words.first)[token])
        if not place:
            return None
        matcher = state.matcher.deep_copy()
        if not matcher.consume_token(place):
            return None
        return _State(matcher, begun=True, spaced=words.texts[place].endswith(b" "))

    def _allowed(self, state: _State) -> Tensor:
        words = self._vocabulary
        ends = state.matcher.is_accepting() and not (words.trimmed and state.spaced)
        packed = np.frombuffer(state.matcher.compute_bitmask(), dtype=np.uint8)
        fits = np.unpackbits(packed, bitorder="little").view(np.bool_)
        fits[0] = False  # the library's own end
        if state.matcher.is_error():
            fits[:] = False
        follows = fits[words.later if state.begun else words.first]
        if not state.begun and fits[words.later].any():
            follows |= words.blank
        ids = torch.from_numpy(np.flatnonzero(follows))
        return torch.cat([ids, self._end]) if ends else ids
