"""Searches on hand-made probability tables, where every answer can be worked out on paper."""

import itertools
import math
from collections import Counter

import pytest
import torch

from tests.decoding.tables import END, STEPPERS, TableStepper, build, tree
from transformer.decoding import SEARCHES, Request, decode_all

A, B, C = 1, 2, 3

# Greedy walks into the trap: A is likelier than B, but all that follows A is unlikely.
#   A (0.6) → A 0.4 → end   p = 0.24       B (0.4) → C 0.9 → end   p = 0.36
#           → B 0.35 → end  p = 0.21                → A 0.1 → end   p = 0.04
#           → C 0.25 → end  p = 0.15
TRAP = tree({(): {A: 0.6, B: 0.4}, (A,): {A: 0.4, B: 0.35, C: 0.25}, (B,): {C: 0.9, A: 0.1}})


def search(name, table, *, rows=1, limits=None, keys=None, seed=0, **fields):
    tasks = [
        Request(prompt=[9], max_new_tokens=limit, rng_key=(key,), seed=seed)
        for limit, key in zip(limits or [10] * rows, keys or range(rows), strict=True)
    ]
    stepper = STEPPERS.get(name, TableStepper)(table, size=4)
    return decode_all(stepper, build(name, **fields), tasks)


def probability(hypothesis) -> float:
    return round(math.exp(sum(hypothesis.log_probabilities)), 6)


def test_greedy_takes_the_likeliest_token_each_time() -> None:
    ((found,),) = search("greedy", TRAP)
    assert (found.ids, probability(found), found.finished) == ([A, A], 0.24, True)


def test_beam_finds_what_greedy_misses() -> None:
    ((found,),) = search("beam", TRAP, beam=2)
    assert (found.ids, probability(found)) == ([B, C], 0.36)


def test_n_best_come_in_order_with_their_scores() -> None:
    (found,) = search("beam", TRAP, beam=4, n_best=4, length_penalty=0.0)
    assert [(h.ids, probability(h)) for h in found] == [
        ([B, C], 0.36), ([A, A], 0.24), ([A, B], 0.21), ([A, C], 0.15),
    ]  # fmt: skip
    assert [h.score for h in found] == pytest.approx([math.log(probability(h)) for h in found])


@pytest.mark.parametrize(("alpha", "best"), [(0.0, [A]), (1.0, [B, B])])
def test_the_length_penalty_divides_by_the_length_with_its_end(alpha, best) -> None:
    """A: 0.5 in 2 tokens. BB: 0.4 in 3. log 0.5 / 2 = -0.347 < log 0.4 / 3 = -0.305."""
    table = tree({(): {A: 0.5, B: 0.4, C: 0.1}, (B,): {B: 1.0}})
    ((found,),) = search("beam", table, beam=3, length_penalty=alpha)
    assert found.ids == best
    assert found.score == pytest.approx(
        math.log(probability(found)) / (len(best) + 1) ** alpha, abs=1e-6
    )


def random_table(seed):
    def table(tokens):
        generator = torch.Generator().manual_seed(hash((seed, tokens)) % (1 << 31))
        chances = torch.rand(4, generator=generator).pow(3).add(0.01)
        return dict(enumerate((chances / chances.sum()).tolist()))

    return table


def exhaustive(table, limit, alpha):
    """Every text of at most `limit` tokens, best first."""
    found = []
    for length in range(1, limit + 1):
        for tokens in itertools.product((A, B, C), repeat=length - 1):
            for last in (END, A, B, C) if length == limit else (END,):
                text = (*tokens, last)
                total = sum(math.log(table(text[:n])[text[n]]) for n in range(length))
                ids = list(text[:-1] if last == END else text)
                found.append((total / length**alpha, ids))
    return sorted(found, key=lambda pair: -pair[0])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_beam_as_wide_as_the_tree_is_exhaustive(seed: int, alpha: float) -> None:
    table = random_table(seed)
    (found,) = search("beam", table, beam=64, n_best=3, length_penalty=alpha, limits=[3])
    wanted = exhaustive(table, 3, alpha)[:3]
    assert [h.ids for h in found] == [ids for _, ids in wanted]
    assert [h.score for h in found] == pytest.approx([score for score, _ in wanted], abs=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_greedy_and_beam_1_agree(seed: int) -> None:
    table = random_table(seed)
    limits = [3, 9, 6]
    greedy = search("greedy", table, rows=3, limits=limits)
    beam = search("beam", table, rows=3, limits=limits, beam=1)
    for (one,), (other,) in zip(greedy, beam, strict=True):
        assert one.ids == other.ids
        assert one.finished == other.finished
        assert one.score == pytest.approx(other.score, abs=1e-5)


@pytest.mark.parametrize("name", SEARCHES)
def test_rows_with_limits_of_their_own_do_not_disturb_each_other(name: str) -> None:
    """Every search, in a batch and alone; no text is longer than its limit."""
    table, limits = random_table(3), [1, 7, 4, 2]
    options = {"beam": 3} if name == "beam" else {"keys": (0, 1, 2, 3), "seed": 5}
    together = search(name, table, rows=4, limits=limits, **options)
    for row, limit in enumerate(limits):
        if name != "beam":
            options["keys"] = (row,)
        (alone,) = search(name, table, limits=[limit], **options)
        assert [h.ids for h in together[row]] == [h.ids for h in alone]
        assert all(len(h.log_probabilities) <= limit for h in alone)


def test_a_text_cut_off_at_its_limit_says_so() -> None:
    forever = lambda tokens: {A: 1.0}  # noqa: E731
    for name in SEARCHES:
        ((found,),) = search(name, forever, limits=[4])
        assert (found.ids, found.finished) == ([A] * 4, False)


def test_beam_stops_as_soon_as_nothing_can_improve() -> None:
    """Ending at once has p = 0.9; no continuation of the rest can reach it."""
    table = lambda tokens: {END: 0.9, A: 0.06, B: 0.04}  # noqa: E731
    stepper = TableStepper(table, size=4)
    beams = build("beam", beam=2, length_penalty=0.0)
    decode_all(stepper, beams, [Request(prompt=[9], max_new_tokens=50)])
    assert stepper.steps == 2


def test_samples_have_the_tables_frequencies() -> None:
    table = tree({(): {A: 0.5, B: 0.3, C: 0.2}, (A,): {B: 0.25, END: 0.75}})
    rows = 4000
    found = search("sample", table, rows=rows, keys=tuple(range(rows)), seed=11)
    counts = Counter(tuple(h.ids) for (h,) in found)
    wanted = {(A,): 0.375, (A, B): 0.125, (B,): 0.3, (C,): 0.2}
    assert set(counts) == set(wanted)
    for text, chance in wanted.items():  # four standard deviations
        assert counts[text] / rows == pytest.approx(
            chance, abs=4 * math.sqrt(chance * (1 - chance) / rows)
        )


def test_a_sample_depends_on_seed_and_line_and_on_nothing_else() -> None:
    table = random_table(1)
    keys = (7, 1, 5)
    first = search("sample", table, rows=3, keys=keys, seed=3)
    turned = search("sample", table, rows=3, keys=keys[::-1], seed=3)
    other = search("sample", table, rows=3, keys=keys, seed=4)
    assert [h.ids for (h,) in first] == [h.ids for (h,) in turned][::-1]
    assert [h.ids for (h,) in first] != [h.ids for (h,) in other]


def test_reported_log_probabilities_are_the_models_whatever_was_filtered() -> None:
    table = tree({(): {A: 0.5, B: 0.3, C: 0.2}})
    ((found,),) = search("sample", table, processors={"top-k": 1, "temperature": 0.1})
    assert probability(found) == 0.5
