"""The places of a text where a phrase may be put: before words, or instead of some."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from tokenizer import Tokenizer
from tokenizer.scripts import SENTENCE_ENDS, is_unspaced

from ..decoding.constraints.phrase_constraint import WordTokens
from ..decoding.request import Hypothesis, Request
from .phrases import Phrase

_CONTEXT = 16  # tokens on either side of a place that are decoded to see what stands beside it


class Position(NamedTuple):
    """A place in a text where a phrase may be put."""

    start: int  # index of the first token in its place
    end: int  # index of the first token after those that it replaces; `start`: it replaces none
    ids: tuple[int, ...]  # of the phrase there


class Draft:
    """A text into which phrases are to be put, from a token on."""

    def __init__(
        self,
        request: Request,
        hypothesis: Hypothesis,
        start: int,
        words: WordTokens,
        tokenizer: Tokenizer,
    ) -> None:
        self.request, self.hypothesis, self.start = request, hypothesis, start
        self._words, self._tokenizer = words, tokenizer
        self._first = int(request.forced_first is not None)

    def with_phrase(self, position: Position) -> list[int]:
        """Return the ids of the text, the end token included, with a phrase at its position."""
        tokens = self.hypothesis.tokens
        return [*tokens[: position.start], *position.ids, *tokens[position.end :]]

    def positions(self, phrase: Phrase) -> list[Position]:
        """Return the places that leave room for a phrase: before words, from left to right.

        The last one is before the punctuation at the end. In a text that is one endless word, they
        are between its tokens.
        """
        room = self.request.max_new_tokens
        words = [Position(n, n, tuple(self._form(phrase, n))) for n in self._indices]
        if fitting := [word for word in words if word.start + len(word.ids) <= room]:
            return fitting
        last = min(len(self.hypothesis.ids), room - len(phrase.spaced) + 1)
        return [Position(index, index, tuple(phrase.spaced)) for index in range(self.start, last)]

    def replacing(self, position: Position, count: int) -> Position | None:
        """Return a position with the `count` words after it replaced, their punctuation kept.

        None where there are fewer words up to the end of the sentence.
        """
        number = bisect_left(self._indices, position.start) + count
        if number >= len(self._indices):
            return None
        end = self._indices[number]
        while end > position.start and not any(map(str.isalnum, self._piece(end - 1))):
            end -= 1
        has_end = any(c in SENTENCE_ENDS for c in self._between(position.start, end))
        return None if end == position.start or has_end else position._replace(end=end)

    def instead_of_words(self, positions: Sequence[Position]) -> list[Position]:
        """Return the positions with one word replaced, without those that can replace none."""
        replacing = (self.replacing(position, 1) for position in positions)
        return [position for position in replacing if position is not None]

    def replaced(self, position: Position) -> str:
        """Return the text that a phrase at a position comes instead of."""
        return self._between(position.start, position.end).strip()

    def word_spans(self) -> list[range]:
        """Return the tokens of each word, in the order of the positions; the last have none."""
        ends = [*self._indices[1:], self._indices[-1]]
        return [range(start, end) for start, end in zip(self._indices, ends, strict=True)]

    def gap_start(self, position: Position, gap: int) -> int | None:
        """Return the index `gap` words before a position; None beyond its sentence or the start."""
        if not gap:
            return position.start
        number = bisect_left(self._indices, position.start) - gap
        if number < 0:
            return None
        index = self._indices[number]
        between = self._between(index, position.start)
        return None if any(character in SENTENCE_ENDS for character in between) else index

    @cached_property
    def _indices(self) -> list[int]:
        """The indices of tokens with which words begin, and that of the end."""
        ids, end = self.hypothesis.ids, len(self.hypothesis.ids)
        while end > self.start and not any(map(str.isalnum, self._piece(end - 1))):
            end -= 1
        begins = (n for n in range(self.start, end) if self._begins(n, ids[n]))
        return [*begins, end]

    def _begins(self, index: int, token: int) -> bool:
        begins_text = index == self._first and bool(self.request.source)
        return begins_text or self._words.begins[token]

    def _between(self, start: int, end: int) -> str:
        """Return the text of the tokens from `start` to `end`, as it is after those before."""
        first = max(self._first, start - _CONTEXT)
        ids = self.hypothesis.ids
        before, whole = self._tokenizer.decode_batch([ids[first:start], ids[first:end]])
        return whole[len(before) :]

    def _piece(self, index: int) -> str:
        return self._between(index, index + 1)

    def _form(self, phrase: Phrase, index: int) -> Sequence[int]:
        """Return the ids of a phrase at a place."""
        before = self._between(max(self._first, index - _CONTEXT), index).rstrip()
        after = self._between(index, index + _CONTEXT)
        begins_sentence = not before or before[-1] in SENTENCE_ENDS
        if begins_sentence and after.lstrip()[:1].isupper():
            phrase = phrase.capitalized
        if index == self._first and self.request.source:
            return phrase.initial
        last = before[-1:] or " "
        follows_mark = after[:1].isalnum() and not last.isalnum()
        is_glued = not after[:1].isspace() and (is_unspaced(last) or follows_mark)
        return phrase.unspaced if is_glued else phrase.spaced
