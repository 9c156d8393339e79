"""Beginnings that texts have in common, as pure functions of their ids."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

Text = tuple[int, ...]

MIN_SHARED = 32  # tokens: to read fewer once costs as much as the passes that it adds


def find_shared(
    texts: Mapping[int, Text], known: Sequence[Text] = (), unit: int = 1
) -> tuple[Text, list[int]]:
    """Return the prefix that saves most tokens, and the rows of texts that begin with it.

    `known` are texts to be compared with that need not be read. A prefix of n texts, known ones
    included, saves n - 1 times its length, which is a multiple of `unit`; () and no rows: none
    has MIN_SHARED tokens.

    >>> one, other = (7,) * 40, (8,) * 40
    >>> prefix, rows = find_shared({0: (*one, 1), 1: other, 2: (*one, 2, 3)})
    >>> prefix == one, rows
    (True, [0, 2])
    >>> find_shared({0: other}, [(*other, 5)])[1], find_shared({0: one, 1: other})
    ([0], ((), []))
    """
    members = sorted([*((text, row) for row, text in texts.items()), *((t, -1) for t in known)])
    shared = [_common_length(a, b) // unit * unit for (a, _), (b, _) in pairwise(members)]
    best: tuple[Text, list[int]] = ((), [])
    saved = 0
    for length in {length for length in shared if length >= MIN_SHARED}:
        for first, last in _runs(shared, length):
            rows = sorted(row for _, row in members[first : last + 1] if row >= 0)
            if rows and length * (last - first) > saved:
                saved = length * (last - first)
                best = members[first][0][:length], rows
    return best


def _common_length(one: Text, other: Text) -> int:
    """Return the number of tokens with which both begin.

    >>> _common_length((1, 2, 3), (1, 2)), _common_length((1, 2), (1, 3))
    (2, 1)
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _runs(shared: Sequence[int], length: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last of neighbours that have at least so many tokens in common.

    `shared` counts what each has in common with the next.

    >>> list(_runs([3, 0, 5, 4], 3))
    [(0, 1), (2, 4)]
    """
    first = None
    for place, common in enumerate([*shared, 0]):
        if common >= length and first is None:
            first = place
        elif common < length and first is not None:
            yield first, place
            first = None
