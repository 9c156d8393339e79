"""Byte-pair encoding over the tokens of another tokenizer: what to learn beside its vocabulary."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
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
        self._words = [list(word) for word in words]
        self._word_counts = list(words.values())
        self._counts: Counter[Pair] = Counter()
        self._places: defaultdict[Pair, set[int]] = defaultdict(set)  # words that may have a pair
        self._refused: set[Pair] = set()
        for number, (word, count) in enumerate(words.items()):
            for pair in pairwise(word):
                self._counts[pair] += count
                self._places[pair].add(number)
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
        replaced, grown = 0, set()
        for number in self._places.pop(pair):
            word, count = self._words[number], self._word_counts[number]
            self._words[number], changes = replace_pair(word, pair, merged)
            replaced += (len(word) - len(self._words[number])) * count
            for other, change in changes.items():
                self._counts[other] += change * count
                if change > 0:
                    self._places[other].add(number)
                    grown.add(other)
        for other in grown:  # others have become rarer at most
            heapq.heappush(self._heap, (-self._counts[other], other))
        return replaced


def replace_pair(word: list[int], pair: Pair, merged: int) -> tuple[list[int], dict[Pair, int]]:
    """Return a word with a token in place of a pair, from the left, and how pairs change by it.

    >>> replace_pair([1, 2, 1, 2, 3], (1, 2), 9)
    ([9, 9, 3], {(1, 2): -2, (2, 1): -1, (9, 1): 0, (9, 9): 1, (2, 3): -1, (9, 3): 1})
    """
    left, right = pair
    changes: defaultdict[Pair, int] = defaultdict(int)
    replaced: list[int] = []
    index, last = 0, len(word) - 1
    while index <= last:
        if index == last or word[index] != left or word[index + 1] != right:
            replaced.append(word[index])
            index += 1
            continue
        changes[pair] -= 1
        if replaced:
            changes[replaced[-1], left] -= 1
            changes[replaced[-1], merged] += 1
        if index + 2 <= last:
            changes[right, word[index + 2]] -= 1
            changes[merged, word[index + 2]] += 1
        replaced.append(merged)
        index += 2
    return replaced, dict(changes)
