"""Texts that run into a loop."""

from collections.abc import Sequence

_LONGEST = 16  # tokens of what is repeated
_TIMES, _TOKENS = 4, 16  # at least so often, and so many in all


def ends_in_loop(ids: Sequence[int]) -> bool:
    """Whether a text ends in the same tokens over and over.

    >>> is_loop([7, 8] + [1, 2, 3] * 6)
    True
    >>> is_loop([1, 2, 3] * 3)
    False
    """
    return any(_repeats(ids, size) for size in range(1, _LONGEST + 1))


def _repeats(ids: Sequence[int], size: int) -> bool:
    total = max(_TIMES * size, _TOKENS)
    tail = list(ids[-total:])
    return len(tail) == total and tail[size:] == tail[:-size]
