"""Words of a text as ranges of its characters, and spans of characters as spans of words."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tokenizer.scripts import is_attached, is_unspaced

from ..registry import Registry
from .schemes import Span

Range = tuple[int, int]  # of a text's characters: the first, and the first after it
_BLOCK = re.compile(r"\S+")
_JOINER = "\u200d"


class WordSpans(NamedTuple):
    """Spans of words, and what became of the spans of characters that they were."""

    spans: list[Span]
    widened: int  # those that begin or end inside a word, which they have whole
    dropped: int  # those without a word, or of which a longer one has a word too


def _split_at_spaces(text: str) -> list[Range]:
    return [match.span() for match in _BLOCK.finditer(text)]


def _split_words(text: str) -> list[Range]:
    """Return letters and digits in a row; signs, and letters of scripts without spaces, alone."""
    ranges: list[Range] = []
    in_word = False
    for index, character in enumerate(text):
        after_word = bool(ranges) and ranges[-1][1] == index
        if after_word and (is_attached(character) or text[index - 1] == _JOINER):
            ranges[-1] = (ranges[-1][0], index + 1)
        elif character.isspace():
            in_word = False
        else:
            was_in_word, in_word = in_word, character.isalnum() and not is_unspaced(character)
            if after_word and was_in_word and in_word:
                ranges[-1] = (ranges[-1][0], index + 1)
            else:
                ranges.append((index, index + 1))
    return ranges


WORD_SPLITTERS = Registry("rule for words", {"spaces": _split_at_spaces, "words": _split_words})


def word_ranges(text: str, rule: str = "words") -> list[Range]:
    """Return the words of a text as ranges of characters.

    `words` are letters and digits in a row with their marks, while other signs, and letters of
    scripts without spaces, stand alone; `spaces` are whatever stands between white space. Raises
    UnknownNameError for another rule.

    >>> [("It's 木木."[a:b]) for a, b in word_ranges("It's 木木.")]
    ['It', "'", 's', '木', '木', '.']
    """
    return WORD_SPLITTERS[rule](text)


def spans_of_words(spans: Iterable[Span], words: Sequence[Range]) -> WordSpans:
    """Return spans of characters as spans of words, in their order.

    >>> spans_of_words([Span(4, 7, "X"), Span(4, 6, "Y")], [(0, 3), (4, 8)])
    WordSpans(spans=[Span(start=1, end=2, label='X')], widened=1, dropped=1)
    """
    starts, ends = [start for start, _ in words], [end for _, end in words]
    taken: set[int] = set()
    found: list[Span] = []
    widened = dropped = 0
    for start, end, label in sorted(spans, key=lambda span: (span.start - span.end, span)):
        inside = range(bisect_right(ends, start), bisect_left(starts, end))
        if not inside or not taken.isdisjoint(inside):
            dropped += 1
            continue
        taken.update(inside)
        widened += words[inside[0]][0] < start or words[inside[-1]][1] > end
        found.append(Span(inside[0], inside[-1] + 1, label))
    return WordSpans(sorted(found), widened, dropped)


def spans_of_characters(spans: Iterable[Span], words: Sequence[Range]) -> list[Span]:
    """Return spans of words as spans of a text's characters.

    >>> spans_of_characters([Span(1, 3, "PER")], [(0, 2), (3, 6), (7, 9)])
    [Span(start=3, end=9, label='PER')]
    """
    return [Span(words[start][0], words[end - 1][1], label) for start, end, label in spans]
