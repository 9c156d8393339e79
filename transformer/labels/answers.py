"""Tags of words and spans of a text's characters, by the probabilities of the words' tags."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .alignment import shared_words
from .schemes import OUTSIDE, Span, read_spans, write_tags
from .words import Range


class ScoredSpan(NamedTuple):
    """A labelled range of a text's characters, and the mean probability of its words' tags."""

    start: int
    end: int
    label: str
    score: float


class _Answers(NamedTuple):
    """The most probable tag of each group of words that share a token."""

    groups: list[Range]  # of words
    tags: list[str]
    scores: npt.NDArray[np.float64]  # 0 of a word without a token


def _most_probable(
    probabilities_WL: npt.ArrayLike, names: Sequence[str], tokens: Sequence[Range]
) -> _Answers:
    probs_WL = np.asarray(probabilities_WL, np.float64).reshape(len(tokens), len(names))
    groups = shared_words(tokens)
    probs_GL = probs_WL[[first for first, _ in groups]]
    return _Answers(groups, [names[label] for label in probs_GL.argmax(1)], probs_GL.max(1))


def _group_spans(found: _Answers) -> list[Span]:
    """Return the spans of groups of words; one without a token is outside."""
    tags = [tag if score else OUTSIDE for tag, score in zip(found.tags, found.scores, strict=True)]
    return read_spans(tags)


def word_tags(
    probabilities_WL: npt.ArrayLike,
    names: Sequence[str],
    tokens: Sequence[Range],
    *,
    scheme: str | None,
) -> list[str]:
    """Return the most probable tag of each word, repaired to obey a scheme.

    Words that share a token have one span, or none; without a scheme they have the same tag.
    `tokens` is of `tokens_of_words`. Raises CorpusError for a name that is no tag of spans.

    >>> word_tags([[0.2, 0.8], [0.4, 0.6]], ["O", "I-X"], [(0, 1), (1, 2)], scheme="bio")
    ['B-X', 'I-X']
    """
    found = _most_probable(probabilities_WL, names, tokens)
    if scheme is None:
        pairs = zip(found.groups, found.tags, strict=True)
        return [tag for (first, last), tag in pairs for _ in range(first, last)]
    spans = [
        Span(found.groups[start][0], found.groups[end - 1][1], label)
        for start, end, label in _group_spans(found)
    ]
    return write_tags(spans, len(tokens), scheme)


def scored_spans(
    probabilities_WL: npt.ArrayLike,
    names: Sequence[str],
    words: Sequence[Range],
    tokens: Sequence[Range],
    *,
    scheme: str | None,
) -> list[ScoredSpan]:
    """Return the spans of the words' most probable tags, in order.

    Tags that do not obey their scheme are read as `read_spans` does, which is a repair of them. For
    tags without a scheme, such as parts of speech, each word is a span, and words that share a
    token are one. Raises CorpusError for a name that is no tag of spans.

    >>> probabilities, words = [[0.2, 0.8], [0.4, 0.6]], [(0, 3), (4, 6)]
    >>> scored_spans(probabilities, ["O", "I-X"], words, [(0, 1), (1, 2)], scheme="bio")
    [ScoredSpan(start=0, end=6, label='X', score=0.7)]
    """
    found = _most_probable(probabilities_WL, names, tokens)
    spans = (
        _group_spans(found)
        if scheme
        else [
            Span(group, group + 1, tag)
            for group, tag in enumerate(found.tags)
            if found.scores[group]
        ]
    )
    return [
        ScoredSpan(
            words[found.groups[start][0]][0],
            words[found.groups[end - 1][1] - 1][1],
            label,
            float(found.scores[start:end].mean()),
        )
        for start, end, label in spans
    ]
