"""Words of texts, and spans of characters as spans of them."""

import pytest

from transformer.errors import UnknownNameError
from transformer.labels import Span, spans_of_characters, spans_of_words, word_ranges


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 9.5%, so.", "It ' s 9 . 5 % , so ."),
        ("Zwo\u0308lf nai\u0308ve", "Zwo\u0308lf nai\u0308ve"),
        ("東京タワーへ行く2回", "東 京 タ ワ ー へ 行 く 2 回"),
        ("हिन्दी में", "हिन्दी में"),
        ("한국어 \u1112\u1161\u11ab", "한국어 \u1112\u1161\u11ab"),
        ("👩\u200d👩\u200d👧🦀 ok👍🏽", "👩\u200d👩\u200d👧 🦀 ok 👍🏽"),
        ("co\u00adop snake_case", "co\u00adop snake _ case"),
        (" \t\u3000\n", ""),
    ],
)
def test_words_are_letters_in_a_row_and_signs(text: str, words: str) -> None:
    assert [text[start:end] for start, end in word_ranges(text)] == words.split()


def test_words_between_spaces() -> None:
    assert word_ranges("It's 9.5%,\u3000so.", "spaces") == [(0, 4), (5, 10), (11, 14)]
    with pytest.raises(UnknownNameError, match="did you mean spaces"):
        word_ranges("a", "space")


def test_spans_of_characters_become_spans_of_words_and_back() -> None:
    text = "Ann Lee lives in New York."
    words = word_ranges(text)
    spans = [Span(0, 7, "PER"), Span(17, 25, "LOC")]
    assert spans_of_words(spans, words) == ([Span(0, 2, "PER"), Span(4, 6, "LOC")], 0, 0)
    assert spans_of_characters(spans_of_words(spans, words).spans, words) == spans


def test_spans_inside_words_are_widened_and_those_that_overlap_left_out() -> None:
    words = [(0, 3), (4, 8), (9, 12)]
    spans = [Span(1, 3, "A"), Span(4, 12, "B"), Span(9, 12, "C"), Span(3, 4, "D")]
    assert spans_of_words(spans, words) == ([Span(0, 1, "A"), Span(1, 3, "B")], 1, 2)
    assert spans_of_words([Span(4, 5, "A")], words) == ([Span(1, 2, "A")], 1, 0)
    assert spans_of_words([Span(7, 8, "A")], words) == ([Span(1, 2, "A")], 1, 0)
