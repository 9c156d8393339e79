"""Windows over the tokens of a text that is longer than a model's context."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from ..errors import ConfigError

Row = TypeVar("Row")


class TokenWindow(NamedTuple):
    """A range of tokens that a model sees at once, and the part of it that is answered by it."""

    start: int
    end: int
    first: int  # the first token with its answer from this window
    last: int  # the first token after them


def token_windows(length: int, size: int, stride: int) -> list[TokenWindow]:
    """Return windows of at most `size` tokens, of which neighbours share at least `stride`.

    As in `transformers`, the stride is the tokens that they share. Each token has its answer from
    the window in which it is farthest from an edge, the earlier one of two; the text's own ends are
    no edges. The last window is as long as the others. Raises ConfigError if the stride leaves no
    window a token of its own.

    >>> token_windows(7, 4, 2)
    [TokenWindow(start=0, end=4, first=0, last=3), TokenWindow(start=2, end=6, first=3, last=5), \
TokenWindow(start=3, end=7, first=5, last=7)]
    """
    if not 0 <= stride < size:
        raise ConfigError(
            f"the stride is {stride}; it must be from 0 to less than the size, {size}"
        )
    starts = [*range(0, max(1, length - stride), size - stride)]
    starts = [max(0, min(start, length - size)) for start in starts]
    ends = [min(length, start + size) for start in starts]
    # Token t of two windows is end - 1 - t from the edge of the one, t - start from the other's.
    shared = zip(ends[:-1], starts[1:], strict=True)
    bounds = [0, *((end + start + 1) // 2 for end, start in shared), length]
    return [*map(TokenWindow, starts, ends, bounds[:-1], bounds[1:])]


def join_windows(windows: Iterable[TokenWindow], answers: Iterable[Sequence[Row]]) -> list[Row]:
    """Return the answer of each token, by those of all tokens of each window.

    >>> join_windows(token_windows(3, 2, 1), [["a0", "a1"], ["b1", "b2"]])
    ['a0', 'a1', 'b2']
    """
    joined: list[Row] = []
    for (start, _, first, last), rows in zip(windows, answers, strict=True):
        joined.extend(rows[first - start : last - start])  # of an array, too
    return joined
