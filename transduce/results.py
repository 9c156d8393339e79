"""Arguments and results of a model's methods."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

from transformer.errors import LineError
from transformer.pipelines.notices import Notices, count_lines, draft_notices
from transformer.pipelines.read_ahead import ReadAhead
from transformer.pipelines.records import Answer, IterableSource, Line, LineSource, Output
from transformer.pipelines.session import Session
from transformer.registry import suggest

ItemT = TypeVar("ItemT")
ArgumentsT = TypeVar("ArgumentsT")
_NONE = type(None)
_logger = logging.getLogger("transduce")


class Text(str):
    """A generated text: a `str` with what is known of it."""

    score: float | None  # log p / length^A; None for an empty line and one without an answer
    tokens: list[str | None]
    token_scores: list[float]  # log-probability of each token
    finish_reason: str | None  # end, length or stop
    seed: int | None  # by which `generate` drew it, with its number; None: nothing was drawn
    error: str | None  # the reason why there is no answer
    others: "list[Text]"  # the other hypotheses, best first
    notices: Notices  # what happened to the line, such as {"unfinished": True}

    def __new__(cls, text: str, **known: Any) -> Self:
        """Return a text with these attributes, and without others."""
        made = super().__new__(cls, text)
        empty: dict[str, Any] = {"tokens": [], "token_scores": [], "others": [], "notices": {}}
        for name in cls.__annotations__:
            setattr(made, name, known.get(name, empty.get(name)))
        return made

    @property
    def candidates(self) -> "list[Text]":
        """All hypotheses, best first: this text and the others."""
        return [self, *self.others]


def to_text(session: Session, found: Answer[Output], *, seed: int | None = None) -> Text:
    """Return the text of an answer, drawn by a seed or not; an empty one where there is none."""
    tokenizer = session.lead.target_tokenizer
    texts = [
        Text(
            output.text,
            score=output.hypothesis.score,
            tokens=[tokenizer.token(token) for token in output.hypothesis.tokens],
            token_scores=output.hypothesis.log_probabilities,
            finish_reason=output.hypothesis.finish_reason,
            seed=seed,
        )
        for output in found.outputs
    ]
    if not texts:
        return Text("", error=found.error, notices=found.notices)
    texts[0].others, texts[0].notices = texts[1:], found.notices
    return texts[0]


def checked_arguments(kind: Callable[..., ArgumentsT], keywords: Mapping[str, Any]) -> ArgumentsT:
    """Return arguments from keywords; a text is a list of one where a list is expected.

    Raises TypeError for an unknown keyword, ConfigError for a wrong value.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {}
    for name, value in keywords.items():
        if name not in fields:
            raise TypeError(f"no keyword argument is called {name!r}; {suggest(name, fields)}")
        types = get_args(fields[name].type) or (fields[name].type,)
        values[name] = [value] if isinstance(value, str) and list[str] in types else value
        if not any(_is_instance(values[name], type_) for type_ in types):
            allowed = " or ".join(getattr(t, "__name__", str(t)) for t in types if t is not _NONE)
            raise TypeError(f"{name} is {value!r}; it must be {allowed}")
    return kind(**values)


def _is_instance(value: object, type_: Any) -> bool:
    """Return True for a value of a keyword's type, or one that can stand for it."""
    if type_ == list[str]:
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if isinstance(value, bool):
        return type_ is bool
    wider = {float: (int, float), Path: (str, Path), str: (str, dict)}  # a schema may be a dict
    return isinstance(value, wider.get(type_, type_))


def answer(
    texts: Any,
    run: Callable[[LineSource, Counter[str]], Iterator[Answer[Any]]],
    to_result: Callable[[Answer[Any]], ItemT],
    *,
    to_line: Callable[[int, Any], Line] = Line,
    pairs: bool = False,
) -> Any:
    """Return the result for one text, or an iterator of those for an iterable.

    With `pairs`, a tuple of two texts is one. Raises LineError for one text without an answer.
    """
    if isinstance(texts, bytes | bytearray):
        raise TypeError("the text is bytes; decode it first")
    counts = Counter[str]()

    def line(number: int, text: Any) -> Line:
        problem = _problem(text, pairs=pairs)
        return Line(number, "", error=problem) if problem else to_line(number, text)

    if isinstance(texts, str) or (pairs and _is_pair(texts)):
        (found,) = run(IterableSource([line(0, texts)]), counts)
        if found.error is not None:
            raise LineError(found.error)
        _log(counts)
        return to_result(found)
    lines = (line(number, text) for number, text in enumerate(texts))
    source: LineSource = IterableSource(lines) if isinstance(texts, Sequence) else ReadAhead(lines)
    return logged(_results(source, run(source, counts), to_result), counts)


def _problem(text: Any, *, pairs: bool) -> str | None:
    """Return the reason why something is no text, nor a pair of texts where these may be."""
    parts = text if pairs and _is_pair(text) else [text]
    if not isinstance(parts[0], str):
        return f"it is {type(text).__name__}, not str"
    try:
        "".join(parts).encode()
    except UnicodeEncodeError:
        return "it has half of a surrogate pair, which no encoding has"
    return None


def _is_pair(texts: Any) -> bool:
    both = isinstance(texts, tuple) and len(texts) == 2
    return both and all(isinstance(text, str) for text in texts)


def _results(
    source: LineSource, answers: Iterator[Answer[Any]], to_result: Callable[[Answer[Any]], ItemT]
) -> Iterator[ItemT]:
    told = False
    with source if isinstance(source, ReadAhead) else nullcontext():
        for found in answers:
            if found.error is not None and not told:
                told = True
                _logger.warning("text %d: %s", found.line.number + 1, found.error)
            yield to_result(found)


def logged(items: Iterator[ItemT], counts: Counter[str]) -> Iterator[ItemT]:
    """Yield the items; then log what was counted."""
    yield from items
    _log(counts)


def warn(sentences: Sequence[str]) -> None:
    """Log what the user should know before the first text."""
    for sentence in sentences:
        _logger.warning(sentence)


def inform(sentences: Sequence[str]) -> None:
    """Log what was chosen for the user."""
    for sentence in sentences:
        _logger.info(sentence)


def _log(counts: Counter[str]) -> None:
    for notice in count_lines(counts):
        _logger.warning(notice)
    for notice in draft_notices(counts):
        _logger.info(notice)
