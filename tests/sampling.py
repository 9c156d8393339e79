"""Cases of a test of which some are tried each time, and the rest by `make test-slow`."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pytest


def one_in(
    count: int, cases: Iterable[object], *, of_each: Callable[[Any], Hashable] = type
) -> list[object]:
    """Cases for `parametrize`, of each kind the first and one in so many; the rest are slow."""
    found, seen = [], Counter[Hashable]()
    for case in cases:
        values = case if isinstance(case, tuple) else (case,)
        marks = [pytest.mark.slow] if seen[of_each(case)] % count else []
        seen[of_each(case)] += 1
        found.append(pytest.param(*values, marks=marks))
    return found
