"""Grammars that constrain what is generated, enforced by the library llguidance."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tokenizer import Tokenizer

from ...errors import ConfigError
from ...registry import Registry
from ..request import Constraint
from .json_schema import prepare_schema, without_texts
from .literals import Literal, Parts, first_missing, literals_of, pattern_parts, schema_parts
from .spelling import spelling_of
from .vocabulary import Vocabulary, config_errors, error_line, llguidance_module, vocabulary_of

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_MAX_STATES = 2048  # of a constraint, of some 15 kB each
_OPTIONS = '%llguidance {"no_forcing": true}\n'  # all tokens that fit, not only the usual spelling

# No \uXXXX, which can spell a listed property's name another way; few spaces at a gap: small
# models would spend their tokens on them.
_JSON = {"json_allowed_escapes": 'nrbtf\\"', "whitespace_pattern": r"[\x20\x0A\x09]{1,8}"}


@dataclass(frozen=True)
class Grammar:
    """A language that a whole text must belong to. With a model it becomes a constraint."""

    name: str  # for messages
    source: str  # in llguidance's own syntax
    parts: Parts = ()  # the texts that it names
    source_without: Callable[[Sequence[str]], str] | None = None  # of no text that holds these

    def __call__(
        self,
        tokenizer: Tokenizer,
        vocab_size: int,
        *,
        end_ids: Collection[int],
        forced_first: int | None = None,
        continuing: bool = False,
    ) -> Constraint:
        """Compile the constraint of what a model with these tokens writes.

        `end_ids`: the ids that end a text. `forced_first`: a special token that comes before it.
        `continuing`: what is written follows a prompt's text, rather than begins one. Raises
        ConfigError where the tokens cannot write any such text, or not each of the choices.
        """
        is_written = _writer(tokenizer, vocab_size, continuing=continuing)
        if missing := first_missing(self.parts, is_written):
            raise ConfigError(f"{self.name}: the model cannot write {missing.text[:60]!r}")
        vocabulary = vocabulary_of(tokenizer, vocab_size)
        constraint = _GrammarConstraint(
            vocabulary,
            self.matcher(vocabulary.library, without=self.unused_texts(tokenizer, vocab_size)),
            end_ids=[i for i in sorted(end_ids) if i < vocab_size],
            has_text=continuing,
            forced=forced_first if forced_first in vocabulary.skipped_ids else None,
        )
        if not len(constraint([])):
            raise ConfigError(f"{self.name}: no token of the model begins such a text")
        return constraint

    def unused_texts(self, tokenizer: Tokenizer, vocab_size: int) -> list[str]:
        """Return the texts that the grammar names beside others and no tokens can write."""
        is_written = _writer(tokenizer, vocab_size)
        if first_missing(self.parts, is_written):
            return []
        literals = dict.fromkeys(literals_of(self.parts))
        return [literal.text for literal in literals if not is_written(literal)]

    def accepts(self, text: str) -> bool:
        """Return True for a text of this language, whatever tokens spell it."""
        library = _byte_library()
        matcher, tokens = self.matcher(library), library.tokenize_bytes(text.encode())
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    def matcher(self, library: "LLTokenizer", without: Sequence[str] = ()) -> "LLMatcher":
        """Return a matcher at the start of a text. Raises ConfigError for what is not supported.

        No text holds those of `without`, where the grammar can exclude them. A part of one that
        could be written would else lead to where nothing follows.
        """
        from llguidance import LLMatcher, LLParserLimits  # noqa: PLC0415

        source = self.source
        if without and self.source_without is not None:
            source = self.source_without(without)
        with config_errors(self.name):
            limits = LLParserLimits(verbose_errors=False)
            matcher = LLMatcher(library, _OPTIONS + source, log_level=0, limits=limits)
        if matcher.is_error():
            raise ConfigError(f"{self.name}: {error_line(matcher.get_error())}")
        return matcher


def regular_expression(pattern: str) -> Grammar:
    """Return the grammar of the texts that a regular expression matches as a whole.

    Raises ConfigError for lookaround, references to groups, and what no text matches.
    """
    name = f"the regular expression {_short(pattern)}"
    with config_errors(name):
        source = f"start: TEXT\nTEXT: /{llguidance_module().regex_to_lark(pattern, '')}/"

    def without(texts: Sequence[str]) -> str:
        return rf"{source} & ~/(.|\n)*({_pattern_of(texts)})(.|\n)*/"

    return _validated(Grammar(name, source, pattern_parts(pattern), without))


def choices(texts: Sequence[str]) -> Grammar:
    """Return the grammar of these texts. Raises ConfigError for none, and for an empty one."""
    if not texts or not all(texts):
        raise ConfigError("choices need at least one text, and none may be empty")
    name = f"the choices {_short(', '.join(texts))}"
    literals = tuple(Literal(text, is_whole=True) for text in dict.fromkeys(texts))
    return _validated(Grammar(name, f"start: /{_pattern_of(texts)}/", literals))


def _pattern_of(texts: Sequence[str]) -> str:
    """Return the regular expression, in llguidance's own syntax, of one of these texts."""
    escaped = (
        re.sub(r"[^\w ]", lambda m: rf"\x{{{ord(m[0]):x}}}", text, flags=re.ASCII) for text in texts
    )
    pattern: str = llguidance_module().regex_to_lark("|".join(escaped), "")
    return pattern


def _writer(
    tokenizer: Tokenizer, vocab_size: int, *, continuing: bool = False
) -> Callable[[Literal], bool]:
    """Return a function that tells if tokens write a literal: True, where that is not known."""
    spelling = spelling_of(tokenizer, vocab_size)
    if spelling is None:
        return lambda literal: True
    return cache(partial(Literal.is_written_by, spelling=spelling, continuing=continuing))


def json_schema(schema: Any) -> Grammar:
    """Return the grammar of the JSON texts that satisfy a schema, which is JSON or plain values.

    Raises ConfigError for a keyword that is not supported, and for what no text satisfies.
    """
    llguidance_module()
    try:
        values = json.loads(schema) if isinstance(schema, str | bytes) else schema
        prepared = prepare_schema(values)
        source = _json_source(prepared)
        parts = schema_parts(values)
    except (ValueError, TypeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"the JSON schema: {' '.join(reason.splitlines())}") from None

    def without(texts: Sequence[str]) -> str:
        return _json_source(without_texts(prepared, texts))

    return _validated(Grammar("the JSON schema", source, parts, without))


def _json_source(schema: Any) -> str:
    """Return the source, in llguidance's own syntax, of a schema that was prepared."""
    rules = schema if isinstance(schema, dict) else {"allOf": [schema]}
    return f"start: %json {json.dumps({'x-guidance': _JSON, **rules}, allow_nan=False)}"


GRAMMARS: Registry[Callable[[Any], Grammar]] = Registry(
    "grammar",
    {"regular-expression": regular_expression, "choices": choices, "json-schema": json_schema},
)


@cache
def _byte_library() -> "LLTokenizer":
    """Return a vocabulary of all single bytes."""
    bytes_alone: LLTokenizer = llguidance_module().LLTokenizer("byte")
    return bytes_alone


def _validated(grammar: Grammar) -> Grammar:
    """Return the grammar. Raises ConfigError, before a model is loaded, if it is not supported."""
    with config_errors(grammar.name):
        matcher = grammar.matcher(_byte_library())
        if not matcher.is_accepting():
            matcher.compute_bitmask()  # finds out whether anything can be written at all
    if matcher.is_error():
        raise ConfigError(f"{grammar.name}: no text satisfies it")
    return grammar


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


class _State(NamedTuple):
    """State of a grammar after a sequence of tokens."""

    matcher: "LLMatcher"  # shared by states; it is copied before it goes on
    has_text: bool  # True after the first token of text
    ends_with_space: bool = False  # the last token's text does


class _GrammarConstraint:
    """Constraint by a grammar. Its states are cached by the ids that lead to them."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        matcher: "LLMatcher",
        *,
        end_ids: list[int],
        has_text: bool,
        forced: int | None,
    ) -> None:
        self._vocabulary, self._end, self._forced = vocabulary, torch.tensor(end_ids), forced
        self._root = _State(matcher, has_text)
        self._states: OrderedDict[tuple[int, ...], _State | None] = OrderedDict()
        self._lock = Lock()  # engines of several threads share the states

    def __call__(self, written: Sequence[int]) -> Tensor:
        """Return the ids that may follow."""
        if not written and self._forced is not None:
            return torch.tensor([self._forced])
        with self._lock:
            state = self._find(tuple(written))
            return torch.empty(0, dtype=torch.long) if state is None else self._allowed(state)

    def _find(self, written: tuple[int, ...]) -> _State | None:
        """Return the state after these tokens; None where the grammar does not allow them."""
        cached = len(written)
        while cached and written[:cached] not in self._states:
            cached -= 1
        state = self._states[written[:cached]] if cached else self._root
        for token in written[cached:]:
            state = self._next(state, token) if state is not None else None
        if written:
            self._states[written] = state
            self._states.move_to_end(written)
        if len(self._states) > _MAX_STATES:
            self._states.popitem(last=False)
        return state

    def _next(self, state: _State, token: int) -> _State | None:
        vocabulary = self._vocabulary
        if token in vocabulary.skipped_ids:
            return state
        if not state.has_text and vocabulary.initial_space[token]:
            return state._replace(has_text=True)
        index = int((vocabulary.inner if state.has_text else vocabulary.initial)[token])
        if not index:
            return None
        matcher = state.matcher.deep_copy()
        if not matcher.consume_token(index):
            return None
        return _State(
            matcher, has_text=True, ends_with_space=vocabulary.texts[index].endswith(b" ")
        )

    def _allowed(self, state: _State) -> Tensor:
        vocabulary = self._vocabulary
        ends = state.matcher.is_accepting() and not (vocabulary.trims_end and state.ends_with_space)
        packed = np.frombuffer(state.matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(packed, bitorder="little").view(np.bool_)
        allowed[0] = False  # the library's own end
        if state.matcher.is_error():
            allowed[:] = False
        follows = allowed[vocabulary.inner if state.has_text else vocabulary.initial]
        if not state.has_text and allowed[vocabulary.inner].any():
            follows |= vocabulary.initial_space
        ids = torch.from_numpy(np.flatnonzero(follows))
        return torch.cat([ids, self._end]) if ends else ids
