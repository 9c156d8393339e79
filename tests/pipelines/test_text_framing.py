"""The ids around the texts of a label head, by hand."""

import pytest

from transformer.pipelines.text_framing import TextFraming, cut_longest

BERT = TextFraming([1], [2], [2], second_type=1, max_tokens=9)


def test_a_text_stands_between_its_tokens() -> None:
    assert BERT.frame([[5, 6]]) == ([1, 5, 6, 2], 4, False)


def test_a_second_text_is_of_another_type() -> None:
    assert BERT.frame([[5, 6], [7]]) == ([1, 5, 6, 2, 7, 2], 4, False)
    roberta = BERT._replace(between=[2, 2], second_type=0)
    assert roberta.frame([[5, 6], [7]]) == ([1, 5, 6, 2, 2, 7, 2], 7, False)


def test_what_does_not_fit_is_cut_from_the_longer_text() -> None:
    assert BERT.frame([[5] * 8]).ids == [1, *[5] * 7, 2]
    ids, second, truncated = BERT.frame([[5], [7] * 8])
    assert (ids, second, truncated) == ([1, 5, 2, *[7] * 5, 2], 3, True)


@pytest.mark.parametrize(
    ("lengths", "room", "cut"),
    [([1, 9], 6, [1, 5]), ([9, 7], 8, [4, 4]), ([3, 3], 7, [3, 3]), ([4, 4], 0, [0, 0])],
)
def test_the_longest_is_cut_first(lengths, room, cut) -> None:
    assert cut_longest(lengths, room) == cut
