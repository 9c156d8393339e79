"""Detection of texts that degenerate into repetition."""

from collections.abc import Sequence

_MAX_PERIOD = 16  # tokens of the part that is repeated
_MIN_REPEATS, _MIN_TOKENS = 4, 16  # of the part; in all repeats together


def ends_in_loop(ids: Sequence[int]) -> bool:
    """Return True if a text ends in repeats of the same 1 to 16 tokens.

    >>> ends_in_loop([7, 8] + [1, 2, 3] * 6)
    True
    >>> ends_in_loop([1, 2, 3] * 3)
    False
    """
    return any(_ends_in_repeats(ids, period) for period in range(1, _MAX_PERIOD + 1))


def _ends_in_repeats(ids: Sequence[int], period: int) -> bool:
    length = max(_MIN_REPEATS * period, _MIN_TOKENS)
    tail = list(ids[-length:])
    return len(tail) == length and tail[period:] == tail[:-period]
