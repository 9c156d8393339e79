"""Phrases that must occur in what beam search writes: dynamic beam allocation, arXiv 1804.06609.

Shape suffixes: R rows, C tokens that phrases ask for next.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

RemainingCounts = tuple[int, ...]  # how many times each phrase must still come


@dataclass(frozen=True)
class PhraseCoverage:
    """Which phrases a growing text holds, each at a place of its own, however they overlap.

    A token that two phrases could share counts for one of them, so several ways of giving places
    to phrases are followed at once, but none that leaves more to do than another.
    """

    phrases: tuple[tuple[int, ...], ...]  # different ones
    recent: tuple[int, ...]  # the text's end, as long as the longest phrase
    reached: tuple[
        frozenset[RemainingCounts], ...
    ]  # what may be left at the last places, the present one last

    @classmethod
    def begin(cls, phrases: Sequence[Sequence[int]]) -> "PhraseCoverage | None":
        """Of an empty text; None where nothing is asked. A phrase given twice must come twice."""
        counts = Counter(tuple(phrase) for phrase in phrases if phrase)
        if not counts:
            return None
        return cls(tuple(counts), (), (frozenset({tuple(counts.values())}),))

    def advance(self, token: int) -> "PhraseCoverage":
        """Of the text with one more token.

        >>> Coverage.begin([[1, 2], [3]]).grown(3).missing
        2
        """
        longest = max(map(len, self.phrases))
        recent = (*self.recent, token)[-longest:]
        found = set(self.reached[-1])
        for place, phrase in enumerate(self.phrases):
            if recent[-len(phrase) :] == phrase:
                before = self.reached[-len(phrase)]
                found |= {_less(left, place) for left in before if left[place]}
        reached = (*self.reached, frozenset(_fewest(found)))[-longest:]
        return replace(self, recent=recent, reached=reached)

    @property
    def done(self) -> bool:
        """Whether all phrases are there."""
        return any(not any(left) for left in self.reached[-1])

    @property
    def missing(self) -> int:
        """The fewest tokens with which all phrases would be there."""
        begun = (self._size(left) - n for left, _, n in self._begun())
        return min([*map(self._size, self.reached[-1]), *begun])

    @property
    def next_tokens(self) -> list[int]:
        """The tokens that bring a phrase on, or begin one."""
        on = [phrase[n] for _, phrase, n in self._begun()]
        wanted = [any(counts) for counts in zip(*self.reached[-1], strict=True)]
        some = [phrase[0] for phrase, n in zip(self.phrases, wanted, strict=True) if n]
        return list(dict.fromkeys([*on, *some]))

    def _size(self, left: RemainingCounts) -> int:
        return sum(n * len(phrase) for n, phrase in zip(left, self.phrases, strict=True))

    def _begun(self) -> Iterator[tuple[RemainingCounts, tuple[int, ...], int]]:
        """The phrases that the text's end begins: what was left before, and how much is there."""
        for place, phrase in enumerate(self.phrases):
            for n in range(1, min(len(phrase), len(self.recent) + 1)):
                if self.recent[-n:] == phrase[:n]:
                    yield from ((b, phrase, n) for b in self.reached[-n - 1] if b[place])


def phrase_tokens(coverages: Sequence[PhraseCoverage | None]) -> Tensor | None:
    """The tokens (R, C) that bring each row's phrases on, -1 where there are fewer; None where no
    row has any."""
    if all(coverage is None for coverage in coverages):
        return None
    each = [[] if coverage is None else coverage.next_tokens for coverage in coverages]
    most = max(1, *map(len, each))
    return torch.tensor([[*ids, *[-1] * (most - len(ids))] for ids in each])


def _less(left: RemainingCounts, place: int) -> RemainingCounts:
    return (*left[:place], left[place] - 1, *left[place + 1 :])


def _fewest(found: set[RemainingCounts]) -> Iterator[RemainingCounts]:
    """Those that are not worse than another in every respect."""
    for left in found:
        better = (all(a <= b for a, b in zip(o, left, strict=True)) for o in found if o != left)
        if not any(better):
            yield left
