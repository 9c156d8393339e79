"""Phrases that come at one point of a text, on hand-made tables."""

import pytest
import torch

from tests.decoding.tables import END, TableStepper, build
from transformer.decoding import Request, decode_all
from transformer.decoding.constraints.phrase_constraint import PhraseConstraint, WordTokens, both

# Words of one or two tokens: A, B, C begin them, X, Y go on with them; STOP ends a sentence.
A, B, C, X, Y, STOP = range(1, 7)
SIZE = 7
WORDS = WordTokens(
    begins=[token in {A, B, C} for token in range(SIZE)],
    within=torch.tensor([X, Y]),
    writable=torch.tensor([A, B, C, X, Y]),
    closing=torch.tensor([END, A, B, C, STOP]),
)


def constraint(phrase, **where) -> PhraseConstraint:
    return PhraseConstraint(phrase, WORDS, **where)


def allowed(rule: PhraseConstraint, ids: list[int]) -> list[int] | None:
    ids_N = rule(ids)
    return None if ids_N is None else sorted(ids_N.tolist())


def test_before_its_start_a_text_is_free() -> None:
    rule = constraint([C, X], start=2)
    assert [allowed(rule, ids) for ids in ([], [A])] == [None, None]


def test_without_a_gap_the_phrase_begins_at_once_and_nothing_is_glued_to_it() -> None:
    rule = constraint([C, X], start=1)
    assert allowed(rule, [A]) == [C]
    assert allowed(rule, [A, C]) == [X]
    assert allowed(rule, [A, C, X]) == [END, A, B, C, STOP]  # no Y: CXY is another word
    assert allowed(rule, [A, C, X, B]) is None
    assert allowed(rule, [A, C, X, STOP]) is None


def test_the_words_of_a_gap_are_free_but_end_no_text_and_no_sentence() -> None:
    rule = constraint([C], start=1, gap=2, gap_tokens=9)
    assert allowed(rule, [A]) == [A, B, C, X, Y]
    assert allowed(rule, [A, B]) == [A, B, C, X, Y]
    assert allowed(rule, [A, B, X]) == [A, B, C, X, Y]
    assert allowed(rule, [A, B, X, A]) == [C, X, Y]  # the second word goes on, or the phrase comes
    assert allowed(rule, [A, B, X, A, Y]) == [C, X, Y]
    assert allowed(rule, [A, B, X, A, Y, C]) == [END, A, B, C, STOP]


def test_a_text_may_begin_with_what_begins_no_word() -> None:
    """As the first word of a text does in byte-level tokenizers, which no space precedes."""
    rule = constraint([C], start=0, gap=1, gap_tokens=9)
    assert allowed(rule, []) == [A, B, C, X, Y]
    assert allowed(rule, [X]) == [C, X, Y]
    assert allowed(rule, [X, C]) == [END, A, B, C, STOP]


def test_a_gap_has_an_end() -> None:
    rule = constraint([C], start=0, gap=1, gap_tokens=3)
    assert allowed(rule, [A, X]) == [C, X, Y]
    assert allowed(rule, [A, X, X]) == [C]
    assert allowed(constraint([C], start=0, gap=2, gap_tokens=3), [A, X, X]) == []


@pytest.mark.parametrize(
    ("first", "expected"), [(None, [1, 2]), ([1, 3], [1]), ([3], []), ([2, 1], [1, 2])]
)
def test_two_constraints_allow_what_both_do(first, expected) -> None:
    rule = None if first is None else lambda ids: torch.tensor(first)
    assert sorted(both(rule, lambda ids: torch.tensor([1, 2]))([]).tolist()) == expected


def test_of_two_constraints_one_may_allow_everything() -> None:
    some, everything = (lambda ids: torch.tensor([4])), (lambda ids: None)
    assert both(some, everything)([]).tolist() == both(everything, some)([]).tolist() == [4]
    assert both(everything, everything)([]) is None


def articles(tokens):
    """`A` before `B`, and `AX` before `C`, as an article agrees with its noun; then the end."""
    after = {(): {A: 0.9, B: 0.05, C: 0.05}, (A,): {B: 0.8, C: 0.01, X: 0.19}}
    after |= {(A, X): {C: 0.9, B: 0.1}, (A, C): {STOP: 0.5, Y: 0.5}}
    return after.get(tuple(tokens), {STOP: 0.9, END: 0.1} if STOP not in tokens else {END: 1.0})


@pytest.mark.parametrize(("gap", "text"), [(0, [A, C, STOP]), (1, [A, X, C, STOP])])
@pytest.mark.parametrize("beam", [1, 2, 5])
def test_a_free_word_agrees_with_the_phrase_where_beams_leave_a_choice(gap, text, beam) -> None:
    start = 1 - gap
    request = Request(
        prompt=[9],
        max_new_tokens=8,
        prefix=[A][:start],
        constraint=constraint([C], start=start, gap=gap, gap_tokens=4),
    )
    stepper, search = TableStepper(articles, size=SIZE), build("beam", beam=beam)
    ((best, *_),) = decode_all(stepper, search, [request])
    assert best.ids == text
