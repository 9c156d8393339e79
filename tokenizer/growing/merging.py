"""Byte-pair encoding over the tokens of another tokenizer: what to learn beside its vocabulary."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

Pair = tuple[int, int]


class Merge(NamedTuple):
    """Two neighbours and the token that both become, so often in all words."""

    left: int
    right: int
    merged: int
    frequency: int


def learn_merges(
    words: Mapping[tuple[int, ...], int],
    *,
    join: Callable[[int, int, int], bool],
    first_id: int,
    limit: int,
    min_count: int,
) -> list[Merge]:
    """Return up to `limit` merges of tokens in words, by arXiv 1508.07909: the most frequent first.

    `words` are rows of ids with their counts. `join` is asked once for each pair whether it may
    become a token of a new id, and notes its name. Merges are of pairs seen at least `min_count`
    times; of equally frequent ones, that of the smaller ids comes first.
    """
    pairs = _Pairs(words)
    merges: list[Merge] = []
    while len(merges) < limit:
        found = pairs.most_frequent()
        if found is None or found[1] < min_count:
            break
        (left, right), merged = found[0], first_id + len(merges)
        if not join(left, right, merged):
            pairs.refuse((left, right))
            continue
        merges.append(Merge(left, right, merged, pairs.merge((left, right), merged)))
    return merges


class _Pairs:
    """The pairs of neighbours in words, with their counts."""

    def __init__(self, words: Mapping[tuple[int, ...], int]) -> None:
        self._words: list[list[int]] = []
        self._word_counts: list[int] = []
        self._counts: Counter[Pair] = Counter()
        self._places: defaultdict[Pair, set[int]] = defaultdict(set)  # words that have a pair
        self._refused: set[Pair] = set()
        for word, count in words.items():
            self._words.append(list(word))
            self._word_counts.append(count)
            self._count(len(self._words) - 1, 1)
        # What a heap says of a pair may be out of date: it is compared when it comes up.
        self._heap = [(-count, pair) for pair, count in self._counts.items()]
        heapq.heapify(self._heap)

    def most_frequent(self) -> tuple[Pair, int] | None:
        """Return the most frequent pair that is not refused, with its count; None if none is."""
        while self._heap:
            negative, pair = self._heap[0]
            count = self._counts[pair]
            if count == -negative and count and pair not in self._refused:
                return pair, count
            heapq.heappop(self._heap)
            if count and pair not in self._refused:
                heapq.heappush(self._heap, (-count, pair))
        return None

    def refuse(self, pair: Pair) -> None:
        """Leave a pair as it is, whatever its count."""
        self._refused.add(pair)

    def merge(self, pair: Pair, merged: int) -> int:
        """Put a token in place of a pair, in all words; return how often."""
        changed: set[Pair] = set()
        replaced = 0
        for number in sorted(self._places[pair]):
            self._count(number, -1)
            word = self._words[number]
            self._words[number] = replace_pair(word, pair, merged)
            replaced += (len(word) - len(self._words[number])) * self._word_counts[number]
            self._count(number, 1)
            changed.update(p for p in _neighbours(self._words[number]) if merged in p)
        for other in changed:  # others have become rarer at most
            heapq.heappush(self._heap, (-self._counts[other], other))
        return replaced

    def _count(self, number: int, sign: int) -> None:
        """Add the pairs of a word, or with a sign of -1 take them away."""
        count = sign * self._word_counts[number]
        for pair in _neighbours(self._words[number]):
            self._counts[pair] += count
            if sign > 0:
                self._places[pair].add(number)
            else:
                self._places[pair].discard(number)


def _neighbours(word: list[int]) -> Iterable[Pair]:
    return pairwise(word)


def replace_pair(word: list[int], pair: Pair, merged: int) -> list[int]:
    """Return a word with a token in place of a pair, from left to right.

    >>> replace_pair([1, 2, 1, 2, 2], (1, 2), 9)
    [9, 9, 2]
    """
    replaced, index = [], 0
    while index < len(word):
        if index + 1 < len(word) and (word[index], word[index + 1]) == pair:
            replaced.append(merged)
            index += 2
        else:
            replaced.append(word[index])
            index += 1
    return replaced
