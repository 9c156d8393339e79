"""Beam search against its definition, written out plainly; groups, scores and samples by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.decoding.tables import END, TableStepper, build, parameters, tree
from tests.decoding.test_search import A, B, C, random_table, search
from tests.models import tiny_model
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer
from transformer.decoding import SEARCHES, Request, decode_all
from transformer.decoding.request import PreviousContext, SequenceState
from transformer.decoding.search.tokenwise import ActiveSequence, compact_rows
from transformer.decoding.steppers.ensemble import COMBINATIONS, EnsembleStepper
from transformer.errors import ConfigError
from transformer.loading import GenerationConfig, LoadedModel
from transformer.pipelines.compatibility import check_ensemble

Ended = list[tuple[float, tuple[int, ...]]]


def definition(
    table: Callable[..., dict[int, float]],
    beams: int,
    limit: int,
    alpha: float,
    early: Any,
    *,
    ends: frozenset[int] = frozenset({END}),
) -> Ended:
    """Hugging Face's: what has ended of the `beams` best continuations, best first."""
    growing, ended = [(0.0, ())], []
    for length in range(1, limit + 1):
        ways = [(total + math.log(p), (*text, token)) for total, text in growing
                for token, p in table(text).items()]  # fmt: skip
        growing = []
        for rank, (total, text) in enumerate(sorted(ways, key=lambda way: -way[0])):
            if text[-1] in ends or length == limit:
                ended += [(total / length**alpha, text)] if rank < beams else []
            elif len(growing) < beams:
                growing.append((total, text))
        ended = sorted(ended, key=lambda one: -one[0])[:beams]
        if not growing or (early is True and len(ended) == beams):
            break
        hoped = limit if early == "never" and alpha > 0 else length
        if len(ended) == beams and growing[0][0] / hoped**alpha <= ended[-1][0]:
            break
    return ended


@pytest.mark.parametrize("ends", [{END}, {END, A}, {END, A, B}])
@pytest.mark.parametrize("early", [False, True, "never"])
@pytest.mark.parametrize("alpha", [-0.5, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("beams", [1, 2, 3, 5])
def test_beams_are_those_of_the_definition(
    beams: int, alpha: float, early: Any, ends: set[int]
) -> None:
    for seed in range(12 if len(ends) == 1 else 4):
        table = random_table(seed)
        (found,) = search(
            "beam", table, limits=[9], beam=beams, n_best=beams, length_penalty=alpha,
            early_stopping=early, end_ids=frozenset(ends),
        )  # fmt: skip
        wanted = definition(table, beams, 9, alpha, early, ends=frozenset(ends))
        assert [tuple(h.tokens) for h in found] == [text for _, text in wanted]
        assert [h.score for h in found] == pytest.approx([s for s, _ in wanted], abs=1e-5)


@pytest.mark.parametrize(("beam", "n_best"), [(3, 1), (4, 2), (3, 3)])
def test_as_many_hypotheses_as_are_wanted(beam: int, n_best: int) -> None:
    (found,) = search("beam", random_table(4), beam=beam, n_best=n_best)
    assert len(found) == n_best
    assert len({tuple(h.ids) for h in found}) == n_best


ONE = tree({(): {A: 0.5, B: 0.3, C: 0.15, END: 0.05}})


def test_a_group_avoids_what_each_group_before_it_took() -> None:
    """Each of one beam, at a cost of 0.6: A 0.5; then B 0.3 > 0.5·e^-0.6 = 0.27 of A; then A, 0.27
    > 0.16 of B and 0.15 of C; then B 0.165 > 0.15 of C and of A, which two have taken."""
    (found,) = search(
        "beam", ONE, beam=4, groups=4, n_best=4, diversity=0.6, length_penalty=0.0
    )  # fmt: skip
    assert [h.ids for h in found] == [[A], [B], [A], [B]]
    wanted = [math.log(0.5), math.log(0.3), math.log(0.5) - 0.6, math.log(0.3) - 0.6]
    assert [h.score for h in found] == pytest.approx(wanted, abs=1e-5)


def test_groups_that_do_not_avoid_each_other_are_alike() -> None:
    (found,) = search("beam", ONE, beam=4, groups=2, n_best=4, length_penalty=0.0)
    assert [h.ids for h in found] == [[A], [A], [B], [B]]


def test_a_group_keeps_as_many_hypotheses_as_it_has_beams() -> None:
    """And the groups are of equal size, however few hypotheses are wanted."""
    (found,) = search("beam", random_table(2), beam=2, groups=2, n_best=2, diversity=0.01)
    assert len(found) == 2
    for seed in range(12):
        (found,) = search("beam", random_table(seed), limits=[9], beam=4, groups=2, n_best=4)
        wanted = definition(random_table(seed), 2, 9, 1.0, False)
        assert [tuple(h.tokens) for h in found] == [text for _, text in wanted for _ in range(2)]
    assert build("beam", beam=4, groups=4).width == 4
    for n_best in (1, 4):
        with pytest.raises(ConfigError, match="6 beams do not divide into 4 groups"):
            parameters("beam", beam=6, n_best=n_best, groups=4)


class Shifted(TableStepper):
    """Logits that are no log-probabilities, as a model's are none."""

    def step(self, ids_R: torch.Tensor) -> torch.Tensor:
        return super().step(ids_R) + 5.0


@pytest.mark.parametrize("name", ["beam", "greedy", "sample"])
def test_logits_need_not_be_normalised(name: str) -> None:
    """A penalty divides positive logits and multiplies negative ones: beams are ranked by
    penalised log-probabilities, as Hugging Face has it. What is reported is the model's."""
    fields = {"beam": 3, "processors": {"repetition-penalty": 1.5}} if name == "beam" else {}
    table, task = random_table(5), Request(prompt=[9], max_new_tokens=6)
    found, wanted = (
        decode_all(make(table, size=4), build(name, **fields), [task])[0][0]
        for make in (Shifted, TableStepper)
    )
    assert found.ids == wanted.ids
    assert found.log_probabilities == pytest.approx(wanted.log_probabilities, abs=1e-5)
    assert found.score == pytest.approx(wanted.score, abs=1e-5)


def test_processors_rank_beams_and_leave_what_is_reported() -> None:
    """B is made likelier than A by a bias of 2: log 0.3 + 2."""
    ((found,),) = search("beam", ONE, beam=2, processors={"token-bias": {B: 2.0}})
    assert found.ids == [B]
    assert found.score == pytest.approx((math.log(0.3) + 2) / 2, abs=1e-5)
    assert found.log_probabilities == pytest.approx([math.log(0.3), 0.0], abs=1e-5)


@pytest.mark.parametrize("name", SEARCHES)
def test_nothing_is_written_that_is_impossible(name: str) -> None:
    """One token at a time is possible, however many beams there are."""
    wide = {"beam": 3, "n_best": 3} if name == "beam" else {}
    (found,) = search(name, tree({(): {A: 1.0}, (A,): {B: 1.0}}), **wide)
    assert [h.ids for h in found] == [[A, B]]


def test_rows_and_tasks_say_what_is_asked() -> None:
    assert SequenceState(Request(prompt=[1, 2], max_new_tokens=9), []).last_id == 2
    assert SequenceState(Request(prompt=[1, 2], max_new_tokens=9), [3, 4]).last_id == 4
    before = PreviousContext([1], [5, 6], [0.0, 0.0])
    row = SequenceState(Request(prompt=[1, 2], max_new_tokens=9, previous_context=before), [3])
    assert (list(row.text_ids), row.all_ids()) == ([5, 6, 3], [1, 2, 3])
    assert not Request(prompt=[1], max_new_tokens=9).has_constraints
    for rule in ({"min_new_tokens": 1}, {"prefix": [1]},
                 {"no_repeat_ngram_size": 2}, {"forced_first": 0},
                 {"constraint": lambda _: torch.tensor([1])}):  # fmt: skip
        assert Request(prompt=[1], max_new_tokens=9, **rule).has_constraints


def test_a_forced_first_token_adds_nothing_to_a_score_and_counts_in_its_length() -> None:
    text = ActiveSequence(SequenceState(Request(prompt=[9], max_new_tokens=9, forced_first=A), []))
    greedy = parameters("greedy")
    for token, gain in ((A, -5.0), (B, -1.0), (END, -2.0)):
        text.append(token, gain, greedy)
    found = text.hypothesis(greedy)
    assert (found.score, found.log_probabilities) == (-1.0, [-5.0, -1.0, -2.0])


def test_a_text_is_cut_off_at_its_limit_and_not_before() -> None:
    greedy = parameters("greedy")
    text = ActiveSequence(SequenceState(Request(prompt=[9], max_new_tokens=2), []))
    assert text.append(A, 0.0, greedy).finish_reason is None
    assert text.append(A, 0.0, greedy).finish_reason == "length"


def flat(tokens: tuple[int, ...]) -> dict[int, float]:
    return {A: 0.25, B: 0.25, C: 0.5}


def test_samples_of_a_line_and_their_tokens_are_drawn_apart() -> None:
    (found,) = search("sample", flat, samples=40, limits=[12], seed=2)
    texts = [tuple(h.ids) for h in found]
    assert len(set(texts)) == 40
    assert all(len(set(text)) > 1 for text in texts)
    shares = [sum(text.count(t) for text in texts) / 480 for t in (A, B, C)]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.08)  # four standard deviations
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_a_line_is_finished_with_its_last_sample() -> None:
    """Some samples end at once, others late; all are there, with texts of their own."""
    table = lambda tokens: {END: 0.3, A: 0.7}  # noqa: E731
    (found,) = search("sample", table, samples=30, limits=[20])
    lengths = {len(h.ids) for h in found}
    assert (len(found), min(lengths)) == (30, 0)
    assert len(lengths) > 4


def test_a_sample_that_nothing_may_follow_is_left_out() -> None:
    bad = {"bad-words": [[A, A], [A, B], [A, C]]}
    (found,) = search("sample", flat, samples=20, processors=bad)
    assert all(A not in h.ids or (h.ids[-1], h.finish_reason) == (A, "length") for h in found)


@pytest.mark.parametrize(
    ("alive", "wanted"),
    [("", []), ("1", [0]), ("0", []), ("01", [1]), ("0110", [2, 1]), ("1011", [0, 3, 2]),
     ("00111", [4, 3, 2]), ("110", [0, 1]), ("10011", [0, 4, 3])],
)  # fmt: skip
def test_the_last_rows_fill_the_gaps(alive: str, wanted: list[int]) -> None:
    assert compact_rows([mark == "1" for mark in alive]) == wanted


def trained(text: str = "abcd") -> Tokenizer:
    return train_tokenizer([text] * 9, TrainingOptions(kind="char", vocab_size=12))


def translator(
    folder: str, writer: str = "abcd", *, end: int = 3, start: int = 2, **changes: Any
) -> LoadedModel:
    """Of sources in one alphabet, of translations in another."""
    source, target = trained(), trained(writer)
    sizes = {"vocab_size": target.vocab_size, "source_vocab_size": source.vocab_size}
    model = tiny_model("encoder-decoder", share_embeddings=False, **{**sizes, **changes})
    generation = GenerationConfig(eos_token_id=end, bos_token_id=start)
    return LoadedModel(model, source, generation, Path(folder), target)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"writer": "abcx"}, "token 7 is 'd', 'x'"),
        ({"end": 1}, r"the end token is \{3\}, \{1\}"),
        ({"start": 1}, "the decoder's first token is 2, 1"),
        ({"source_vocab_size": 20}, "source_vocabulary is 8, 20"),
    ],
)
def test_translators_must_read_and_write_alike(changes: dict[str, Any], message: str) -> None:
    one = translator("one")
    assert check_ensemble([one, translator("two")]) is one
    with pytest.raises(ConfigError, match=f"one and two cannot be averaged: {message}"):
        check_ensemble([one, translator("two", **changes)])


def test_models_are_weighed_as_distributions_whatever_their_logits() -> None:
    """One model's logits are all larger by 5, and say the same."""
    for combination in COMBINATIONS:
        found = []
        for make in (Shifted, TableStepper):
            steppers = [make(ONE, size=4), TableStepper(flat, size=4)]
            stepper = EnsembleStepper(steppers, combination)
            stepper.admit([Request(prompt=[9], max_new_tokens=3)])
            found.append(stepper.step(torch.tensor([9])))
        torch.testing.assert_close(*found)
        torch.testing.assert_close(found[0].exp().sum(), torch.tensor(1.0))
