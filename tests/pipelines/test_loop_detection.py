"""Loops: which texts are decoded again, and which of the two texts is kept."""

from collections.abc import Sequence

import pytest

from transformer.decoding import Hypothesis, Request
from transformer.pipelines.loop_detection import is_repetitive, repair_loop

REQUEST = Request(prompt=[0], source=[5, 6], max_new_tokens=50)
LOOP, OTHER = [7, 8] * 9, [7, 8, 9]
REPETITIVE = [
    "0" * 20,
    "7 7 7 7 7 7 7 7",
    "-" * 40,
    "= = = = = =",
    "* * *\t* * *",
    "hahahaha",
    "Ha, ha, HA, ha!",
    "It was a very very very long day.",
    "La la la, la la la, life is wonderful",
    "no no no no",
    "| | | | |",
    "| yes | yes | yes | no |",
    "row, row, row your boat",
    "Alleluia! Alleluia! Alleluia!",
    "We will, we will rock you. We will, we will rock you. We will, we will rock you.",
    "1010101010",
    "あああああああ",
    "Nein, nein, nein, nein, sagte er.",
]
PLAIN = [
    "",
    "A man sits on a bench.",
    "Wait... what?!",
    "He said that that was wrong, bye bye!",
    "from 1000 to 10000 m",
    "the cat and the dog and the bird",
    "www.example.com, 22:00",
    "Mississippi, bookkeeper, Schifffahrt",
    "A man in a hat and a woman in a hat look at a dog in a hat.",
]


@pytest.mark.parametrize("text", REPETITIVE)
def test_sources_that_repeat(text: str) -> None:
    assert is_repetitive(text)


@pytest.mark.parametrize("text", PLAIN)
def test_sources_that_do_not(text: str) -> None:
    assert not is_repetitive(text)


def hypothesis(ids: Sequence[int], score: float = -1.0, reason: str = "end") -> Hypothesis:
    return Hypothesis(list(ids), score, [], reason)


def repaired(first: Hypothesis, second: Hypothesis | None, source: str):
    """Drive the repair; return the kept request's n-gram size and text, or None if not tried."""
    revision, tried = repair_loop(REQUEST, [first], source), False
    try:
        request = next(revision)
        tried = request.no_repeat_ngram_size == 3
        revision.send([] if second is None else [second])
    except StopIteration as end:
        request, (kept, *_) = end.value
        return tried, bool(request.no_repeat_ngram_size), kept.ids
    raise AssertionError("it asks for a third text")


@pytest.mark.parametrize("source", [REPETITIVE[0], PLAIN[1]])
def test_a_text_without_a_loop_is_left(source: str) -> None:
    assert repaired(hypothesis(OTHER), None, source) == (False, False, OTHER)


@pytest.mark.parametrize("source", REPETITIVE)
def test_a_text_that_ended_is_left_where_its_source_repeats(source: str) -> None:
    better = hypothesis(OTHER, score=-0.01)
    assert repaired(hypothesis(LOOP), better, source) == (False, False, LOOP)


@pytest.mark.parametrize("reason", ["end", "stop", "length"])
def test_a_loop_is_repaired_where_the_source_does_not_repeat(reason: str) -> None:
    first = hypothesis(LOOP, score=-0.1, reason=reason)  # a loop is likely: that is why it loops
    assert repaired(first, hypothesis(OTHER, score=-3.0), PLAIN[1]) == (True, True, OTHER)


@pytest.mark.parametrize(("score", "kept"), [(-0.9, OTHER), (-1.0, LOOP), (-1.1, LOOP)])
def test_of_texts_that_were_cut_off_the_likelier_is_kept(score: float, kept: list[int]) -> None:
    first, second = hypothesis(LOOP, reason="length"), hypothesis(OTHER, score=score)
    assert repaired(first, second, REPETITIVE[0]) == (True, kept == OTHER, kept)


def test_a_repair_that_fails_or_does_not_end_is_not_kept() -> None:
    cut_off = hypothesis(OTHER, score=-0.1, reason="length")
    assert repaired(hypothesis(LOOP), cut_off, PLAIN[1]) == (True, False, LOOP)
    assert repaired(hypothesis(LOOP), None, PLAIN[1]) == (True, False, LOOP)
    first = hypothesis(LOOP, reason="length")
    assert repaired(first, cut_off, PLAIN[1]) == (True, True, OTHER)
