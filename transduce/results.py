"""Arguments and results of a model's methods."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Self, TypeVar

from transformer.errors import LineError
from transformer.pipelines.notices import notices
from transformer.pipelines.read_ahead import ReadAhead
from transformer.pipelines.records import Answer, IterableSource, Line, LineSource, Output
from transformer.pipelines.session import Session
from transformer.registry import suggest

ItemT = TypeVar("ItemT")
ArgumentsT = TypeVar("ArgumentsT")
_logger = logging.getLogger("transduce")


class Text(str):
    """A generated text: a `str` with what is known of it."""

    score: float | None  # log p / length^A; None for an empty line and one without an answer
    tokens: list[str | None]
    token_scores: list[float]  # log-probability of each token
    finish_reason: str | None  # end, length or stop
    candidates: "list[Text]"  # all hypotheses, best first; the first equals this text
    error: str | None  # the reason why there is no answer

    def __new__(cls, text: str, **known: Any) -> Self:
        """Return a text with these attributes, and without others."""
        made = super().__new__(cls, text)
        empty: dict[str, list[Any]] = {"tokens": [], "token_scores": [], "candidates": []}
        for name in cls.__annotations__:
            setattr(made, name, known.get(name, empty.get(name)))
        return made


def to_text(session: Session, found: Answer[Output]) -> Text:
    """Return the text of an answer; an empty one where there is none."""
    tokenizer = session.lead.target_tokenizer
    texts = [
        Text(
            output.text,
            score=output.hypothesis.score,
            tokens=[tokenizer.token(token) for token in output.hypothesis.tokens],
            token_scores=output.hypothesis.log_probabilities,
            finish_reason=output.hypothesis.finish_reason,
        )
        for output in found.outputs
    ]
    if not texts:
        return Text("", error=found.error)
    texts[0].candidates = texts
    return texts[0]


def checked_arguments(kind: Callable[..., ArgumentsT], keywords: Mapping[str, Any]) -> ArgumentsT:
    """Return arguments from keywords; a text is a list of one where a list is expected.

    Raises TypeError for an unknown keyword, ConfigError for a wrong value.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in keywords.keys() - fields.keys():
        raise TypeError(f"no keyword argument is called {name!r}; {suggest(name, fields)}")
    values = {
        name: [value] if isinstance(value, str) and "list" in str(fields[name].type) else value
        for name, value in keywords.items()
    }
    return kind(**values)


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
    counts = Counter[str]()
    if isinstance(texts, str) or (pairs and _is_pair(texts)):
        (found,) = run(IterableSource([to_line(0, texts)]), counts)
        if found.error is not None:
            raise LineError(found.error)
        return to_result(found)
    lines = (to_line(number, text) for number, text in enumerate(texts))
    source: LineSource = IterableSource(lines) if isinstance(texts, Sequence) else ReadAhead(lines)
    return logged(_results(source, run(source, counts), to_result), counts)


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
    for notice in notices(counts):
        _logger.warning(notice)
