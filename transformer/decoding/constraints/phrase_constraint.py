"""Phrases that a text must have at one point, as constraints of any search."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from ..request import Constraint


class WordTokens(NamedTuple):
    """The parts that a vocabulary's tokens can take in words."""

    begins: Sequence[bool]  # by id: True for a token with which a word begins
    within: Tensor  # ids that continue a word
    writable: Tensor  # ids of a text that ends no sentence
    closing: Tensor  # ids that may follow a whole phrase, end tokens included


class PhraseConstraint:
    """A phrase that comes after the first `start` tokens of a text and `gap` words.

    The words between are free, for what precedes a phrase may have to agree with it, as an article
    does; they have at most `gap_tokens` tokens and end no sentence. Nothing is glued to the phrase,
    and all that comes later is free.
    """

    def __init__(
        self,
        phrase: Sequence[int],
        words: WordTokens,
        *,
        start: int,
        gap: int = 0,
        gap_tokens: int = 0,
    ) -> None:
        self._words, self._start, self._gap, self._gap_tokens = words, start, gap, gap_tokens
        self._phrase = [torch.tensor([token]) for token in phrase]
        self._within = torch.cat([words.within, self._phrase[0]])

    def __call__(self, ids: Sequence[int]) -> Tensor | None:
        """Return the ids that may follow; None: all. See Constraint."""
        if len(ids) < self._start:
            return None
        beginnings = list(islice(self._beginnings(ids), self._gap + 1))
        if len(beginnings) <= self._gap:
            return self._in_gap(len(ids) - self._start, len(beginnings))
        written = len(ids) - beginnings[self._gap]
        if written < len(self._phrase):
            return self._phrase[written]
        return self._words.closing if written == len(self._phrase) else None

    def _beginnings(self, ids: Sequence[int]) -> Iterator[int]:
        """Yield the indices with which words begin, from the start of the phrase or its gap on."""
        numbers = range(self._start, len(ids))
        return (n for n in numbers if n == self._start or self._words.begins[ids[n]])

    def _in_gap(self, tokens: int, words: int) -> Tensor:
        """Return the ids that may follow the gap's first tokens, which are so many words."""
        if not self._gap:
            return self._phrase[0]
        last_word = words == self._gap
        if tokens >= self._gap_tokens:
            return self._phrase[0] if last_word else self._phrase[0][:0]
        return self._within if last_word else self._words.writable


def both(first: Constraint | None, second: Constraint) -> Constraint:
    """Return the constraint that allows only what both allow.

    >>> both(lambda ids: torch.tensor([1, 2, 3]), lambda ids: torch.tensor([3, 4, 1]))([]).tolist()
    [1, 3]
    """
    if first is None:
        return second

    def constraint(ids: Sequence[int]) -> Tensor | None:
        allowed, others = first(ids), second(ids)
        if allowed is None or others is None:
            return others if allowed is None else allowed
        return allowed[torch.isin(allowed, others)]

    return constraint
