"""Words and the tokens that they are cut into: targets of tokens, and answers of words.

T tokens, W words, L labels.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..registry import Registry
from .schemes import Span
from .words import Range

NO_TARGET = -100  # IGNORE of transformer.inputs, which imports torch
Floats = npt.NDArray[np.float64]


class WordRule(NamedTuple):
    """A rule by which the tokens of a word have its label, and give it their answers."""

    labelled: Callable[[Range], range]  # those of a word's tokens that have its label
    answer: Callable[[Floats], Floats]  # of the probabilities of a word's tokens, in rows


WORD_RULES = Registry(
    "rule for the tokens of words",
    {
        "first": WordRule(lambda tokens: range(*tokens)[:1], lambda probs_TL: probs_TL[0]),
        "all": WordRule(lambda tokens: range(*tokens), lambda probs_TL: probs_TL.mean(0)),
    },
)


def tokens_of_words(offsets: Sequence[Range], words: Sequence[Range]) -> list[Range]:
    """Return the tokens that have characters of each word: the first, and the first after them.

    Both are ranges of a text's characters, in order. A token may be of several words. The range of
    a word without a token, of which the tokenizer drops every character, is empty.

    >>> tokens_of_words([(0, 2), (2, 4), (5, 9)], [(0, 4), (5, 7), (7, 9)])
    [(0, 2), (2, 3), (2, 3)]
    """
    found, first = [], 0
    for start, end in words:
        while first < len(offsets) and offsets[first][1] <= start:
            first += 1
        last = first
        while last < len(offsets) and offsets[last][0] < end:
            last += 1
        while first < last and offsets[first][0] == offsets[first][1]:
            first += 1
        found.append((first, last))
    return found


def shared_words(tokens: Sequence[Range]) -> list[Range]:
    """Return the groups of neighbouring words that share a token, of one word each where none does.

    A model can tell apart no words of a group: 東京 may be one token, and two words.

    >>> shared_words([(0, 2), (2, 3), (2, 4), (4, 5)])
    [(0, 1), (1, 3), (3, 4)]
    """
    groups: list[Range] = []
    end = 0
    for word, (first, last) in enumerate(tokens):
        if first < min(end, last):
            groups[-1] = (groups[-1][0], word + 1)
        else:
            groups.append((word, word + 1))
        end = max(end, last)
    return groups


def spans_inside_tokens(spans: Iterable[Span], tokens: Sequence[Range]) -> int:
    """Return the number of spans of words that begin or end inside a token, and cannot be told.

    >>> spans_inside_tokens([Span(0, 1, "X"), Span(1, 3, "X")], [(0, 1), (1, 2), (1, 2)])
    0
    >>> spans_inside_tokens([Span(0, 2, "X")], [(0, 1), (1, 2), (1, 2)])
    1
    """
    edges = {0, *(last for _, last in shared_words(tokens))}
    return sum(not {span.start, span.end} <= edges for span in spans)


def token_targets(
    tokens: Sequence[Range], labels: Sequence[int], num_tokens: int, *, rule: str = "first"
) -> list[int]:
    """Return the label of each token, by those of words; NO_TARGET for tokens that have none.

    With the rule `first` a word's first token has its label, as in BERT (arXiv 1810.04805, section
    5.3), with `all` each. A token of several words has the first one's. Raises UnknownNameError for
    another rule.

    >>> token_targets([(0, 2), (2, 3)], [7, 8], 4), token_targets([(0, 2)], [7], 2, rule="all")
    ([7, -100, 8, -100], [7, 7])
    """
    labelled = WORD_RULES[rule].labelled
    targets = [NO_TARGET] * num_tokens
    for token_range, label in zip(tokens, labels, strict=True):
        for token in labelled(token_range):
            if targets[token] == NO_TARGET:
                targets[token] = label
    return targets


def word_probabilities(
    tokens: Sequence[Range], probabilities_TL: npt.ArrayLike, *, rule: str = "first"
) -> Floats:
    """Return the probabilities of each word's labels, by its tokens'; zeros for one without any.

    With the rule `first` they are the first token's, with `all` the mean over the word's tokens.
    Raises UnknownNameError for another rule.
    """
    answer = WORD_RULES[rule].answer
    probs_TL = np.asarray(probabilities_TL, np.float64)
    probs_WL = np.zeros((len(tokens), probs_TL.shape[1]))
    for word, (first, last) in enumerate(tokens):
        if first < last:
            probs_WL[word] = answer(probs_TL[first:last])
    return probs_WL
