"""The prefix that saves most, worked out by hand."""

import doctest

import pytest

from transformer.decoding.steppers import prefixes
from transformer.decoding.steppers.prefixes import find_shared

A, B = (1,) * 40, (2,) * 50


def ids(*parts: tuple[int, ...] | int) -> tuple[int, ...]:
    joined: tuple[int, ...] = ()
    for part in parts:
        joined += (part,) if isinstance(part, int) else part
    return joined


def test_examples() -> None:
    assert doctest.testmod(prefixes).failed == 0


@pytest.mark.parametrize(
    ("texts", "prefix", "rows"),
    [
        pytest.param([A, B], (), [], id="nothing alike"),
        pytest.param([A, A], A, [0, 1], id="the same text"),
        pytest.param([A, ids(A, 5)], A, [0, 1], id="a text that is the prefix"),
        pytest.param([A[:32], ids(A, 5)], A[:32], [0, 1], id="just long enough"),
        pytest.param([A[:31], ids(A, 5)], (), [], id="a token too short"),
        pytest.param([ids(A, 7), B, ids(A, 6), ids(B, 1)], B, [1, 3], id="the longer of two"),
        pytest.param(
            [ids(A, 7), B, ids(A, 6), ids(B, 1), ids(A, 5)], A, [0, 2, 4], id="what more share"
        ),
        pytest.param(
            [ids(A, 7, 7), ids(A, 7, 8), ids(A, 9)], A, [0, 1, 2], id="40 for two, 41 for one"
        ),
        pytest.param(
            [ids(A, B, 7), ids(A, B, 8), ids(A, 9)], ids(A, B), [0, 1], id="90 for one, 40 for two"
        ),
    ],
)
def test_what_texts_share(texts, prefix, rows) -> None:
    assert find_shared(dict(enumerate(texts))) == (prefix, rows)


def test_rows_keep_their_numbers() -> None:
    assert find_shared({8: ids(A, 1), 3: ids(A, 2), 5: B}) == (A, [3, 8])


def test_a_known_text_counts_but_is_no_row() -> None:
    assert find_shared({0: ids(A, 1)}, [A]) == (A, [0])
    assert find_shared({0: ids(A, 1)}, [ids(A, 2), B]) == (A, [0])
    assert find_shared({0: ids(A, 1)}, [B, ids(B, 1)]) == ((), [])
    assert find_shared({0: ids(A, 1)}, [(), ()]) == ((), [])
    two_more = {0: ids(A, 3, 1), 1: ids(A, 3, 2)}
    assert find_shared(two_more, [A, ids(A, 4)]) == (A, [0, 1])


def test_a_prefix_is_of_whole_units() -> None:
    assert find_shared({0: A, 1: ids(A, 1)}, (), 16) == (A[:32], [0, 1])
    assert find_shared({0: A, 1: ids(A, 1)}, (), 40) == (A, [0, 1])
    assert find_shared({0: A, 1: ids(A, 1)}, (), 41) == ((), [])
