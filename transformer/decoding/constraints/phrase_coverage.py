"""Phrases that beam search must generate: dynamic beam allocation, arXiv 1804.06609.

Shape suffixes: R rows, C next tokens of phrases.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

RemainingCounts = tuple[int, ...]  # how many times each phrase must still occur


@dataclass(frozen=True)
class PhraseCoverage:
    """Coverage of phrases by a growing text, each by tokens of its own.

    A token that two phrases could share counts for one of them, so several assignments of tokens to
    phrases are followed at once, but none that leaves more to do than another.
    """

    phrases: tuple[tuple[int, ...], ...]  # distinct
    recent: tuple[int, ...]  # last tokens, as many as the longest phrase has
    history: tuple[frozenset[RemainingCounts], ...]  # after recent tokens, now last

    @classmethod
    def begin(cls, phrases: Sequence[Sequence[int]]) -> "PhraseCoverage | None":
        """Return the coverage of an empty text, or None without phrases.

        A phrase that is listed twice must occur twice.
        """
        counts = Counter(tuple(phrase) for phrase in phrases if phrase)
        if not counts:
            return None
        return cls(tuple(counts), (), (frozenset({tuple(counts.values())}),))

    def advance(self, token: int) -> "PhraseCoverage":
        """Return the coverage with one more token.

        >>> PhraseCoverage.begin([[1, 2], [3]]).advance(3).missing
        2
        """
        longest = max(map(len, self.phrases))
        recent = (*self.recent, token)[-longest:]
        states = set(self.history[-1])
        for index, phrase in enumerate(self.phrases):
            if recent[-len(phrase) :] == phrase:
                before = self.history[-len(phrase)]
                states |= {_decrement(counts, index) for counts in before if counts[index]}
        history = (*self.history, frozenset(_minimal(states)))[-longest:]
        return replace(self, recent=recent, history=history)

    @property
    def done(self) -> bool:
        """True if all phrases have occurred."""
        return any(not any(counts) for counts in self.history[-1])

    @property
    def missing(self) -> int:
        """The fewest tokens with which all phrases would have occurred."""
        with_partial = (self._num_tokens(counts) - n for counts, _, n in self._partial_matches())
        return min([*map(self._num_tokens, self.history[-1]), *with_partial])

    @property
    def next_tokens(self) -> list[int]:
        """The tokens that continue a phrase, or begin one."""
        continuing = [phrase[n] for _, phrase, n in self._partial_matches()]
        needed = [any(counts) for counts in zip(*self.history[-1], strict=True)]
        starting = [phrase[0] for phrase, n in zip(self.phrases, needed, strict=True) if n]
        return list(dict.fromkeys([*continuing, *starting]))

    def _num_tokens(self, counts: RemainingCounts) -> int:
        return sum(n * len(phrase) for n, phrase in zip(counts, self.phrases, strict=True))

    def _partial_matches(self) -> Iterator[tuple[RemainingCounts, tuple[int, ...], int]]:
        """Yield (counts before, phrase, matched tokens) of phrases that the text's end begins."""
        for index, phrase in enumerate(self.phrases):
            for n in range(1, min(len(phrase), len(self.recent) + 1)):
                if self.recent[-n:] == phrase[:n]:
                    yield from ((b, phrase, n) for b in self.history[-n - 1] if b[index])


def phrase_tokens(coverages: Sequence[PhraseCoverage | None]) -> Tensor | None:
    """Return the tokens (R, C) that continue each row's phrases, padded with -1.

    None where no row has phrases.
    """
    if all(coverage is None for coverage in coverages):
        return None
    row_tokens = [[] if coverage is None else coverage.next_tokens for coverage in coverages]
    longest = max(1, *map(len, row_tokens))
    return torch.tensor([[*ids, *[-1] * (longest - len(ids))] for ids in row_tokens])


def allocate_beams(beams: Sequence[tuple[float, int]], count: int) -> list[int]:
    """Return the indices of the beams to keep, best first.

    A beam is its score and the number of tokens that it misses of its phrases; the best comes
    first. Beams that miss equally many are a bank, and each bank in turn keeps its best, so that
    some of each survive; without phrases the best are kept.
    """
    bank_sizes: Counter[int] = Counter()
    turns: list[tuple[int, int, int]] = []
    for index, (_, missing) in enumerate(beams):
        turns.append((bank_sizes[missing], missing, index))
        bank_sizes[missing] += 1
    kept = [index for _, _, index in sorted(turns)[:count]]
    return sorted(kept, key=lambda index: -beams[index][0])


def _decrement(counts: RemainingCounts, index: int) -> RemainingCounts:
    return (*counts[:index], counts[index] - 1, *counts[index + 1 :])


def _minimal(states: set[RemainingCounts]) -> Iterator[RemainingCounts]:
    """Yield the counts that are not worse than others in every respect."""
    for counts in states:
        better = (
            all(a <= b for a, b in zip(o, counts, strict=True)) for o in states if o != counts
        )
        if not any(better):
            yield counts
