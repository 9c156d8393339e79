"""Cases of a test of which some are tried each time, and all by `make test-slow`."""

from collections.abc import Iterable

import pytest


def one_in(count: int, cases: Iterable[object]) -> list[object]:
    """Cases for `parametrize`, all but one in so many of which are slow; a tuple is one case."""
    found = []
    for number, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        marks = [pytest.mark.slow] if number % count else []
        found.append(pytest.param(*values, marks=marks))
    return found
