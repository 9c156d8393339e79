"""Parameters of searches: each has its own and no other; scores and joined texts by hand."""

import pytest

from tests.decoding.search.test_beam import translator
from tests.decoding.tables import END, parameters
from transformer.decoding import SEARCHES
from transformer.decoding.request import Hypothesis
from transformer.errors import ConfigError
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.search_settings import search_parameters

A, B, C = 1, 2, 3


@pytest.mark.parametrize("beam", [1, 2])
def test_no_more_hypotheses_than_beams_can_be_wanted(beam: int) -> None:
    with pytest.raises(ConfigError, match=f"^{beam} beams have no 3 best texts"):
        parameters("beam", beam=beam, n_best=3)


def test_there_are_as_many_beams_as_texts_that_are_asked_for() -> None:
    arguments = TranslateArguments(n_best=3)
    chosen = search_parameters(translator("one"), arguments, default="beam")
    assert (chosen.name, chosen.beam, chosen.n_best) == ("beam", 3, 3)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("greedy", "beam n_best samples groups diversity early_stopping penalty candidates"),
        ("sample", "beam n_best groups diversity early_stopping penalty candidates"),
        ("beam", "samples penalty candidates"),
        ("contrastive", "beam n_best samples groups diversity early_stopping"),
        *((name, "seed stop") for name in SEARCHES),  # each request's own
    ],
)
def test_a_search_has_no_parameters_that_it_would_not_obey(name: str, fields: str) -> None:
    for field in fields.split():
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{field}'"):
            parameters(name, **{field: 1})


def test_beam_search_must_be_told_its_beams() -> None:
    with pytest.raises(TypeError, match="'beam'"):
        SEARCHES["beam"](end_ids=frozenset({END}))


def test_scores_by_hand() -> None:
    greedy = parameters("greedy")
    assert greedy.score(-6.0, 3) == -2.0
    assert parameters("beam", length_penalty=2.0).score(-6.0, 2) == -1.5
    gnmt = parameters("beam", length_penalty_kind="gnmt", length_penalty=0.5)
    assert gnmt.score(-6.0, 19) == pytest.approx(-3.0)  # ((5 + 19) / 6)^0.5 = 2
    assert greedy.score(-6.0, 0) == -6.0
    ended = greedy.hypothesis([A, END], -1.0, [-0.4, -0.6], "end")
    assert (ended.ids, ended.end_id, ended.score) == ([A], END, -0.5)


def test_texts_that_follow_one_another_are_one() -> None:
    """All tokens, the ends within among them; it is cut off where any part was."""
    first = Hypothesis([A], 0.0, [-1.0, -2.0], "end", END)
    second = Hypothesis([B, C], 0.0, [-3.0, -4.0], "length")
    third = Hypothesis([C], 0.0, [-0.5, -0.5], "end", END)
    concatenate = parameters("greedy").concatenate
    found = concatenate([first, second, third])
    assert (found.ids, found.end_id, found.finish_reason) == ([A, END, B, C, C], END, "length")
    assert (found.score, len(found.log_probabilities)) == (-11 / 6, 6)
    assert concatenate([first, third]).finish_reason == "end"
    assert concatenate([second]).ids == [B, C]
