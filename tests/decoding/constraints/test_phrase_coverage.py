"""Beam search that must write phrases, on probability tables: compared with all texts there are."""

import itertools
import math
import random
from collections import Counter

import pytest
import torch

from tests.decoding.tables import END, TableStepper, build, tree
from transformer.decoding import Request, decode_all
from transformer.decoding.constraints.phrase_coverage import PhraseCoverage, allocate_beams

A, B, C = 1, 2, 3


def search(table, phrases, *, limit=10, beam=4, stepper=None, prefix=(), **fields):
    task = Request(prompt=[9], max_new_tokens=limit, phrases=phrases, prefix=prefix)
    beams = build("beam", beam=beam, **fields)
    (found,) = decode_all(stepper or TableStepper(table, size=4), beams, [task])
    return found


def random_table(seed):
    def table(tokens):
        chance = random.Random(f"{seed} {tokens}")
        weights = [chance.random() ** 3 + 0.01 for _ in range(4)]
        return {token: weight / sum(weights) for token, weight in enumerate(weights)}

    return table


def holds(text, phrases):
    """Whether each phrase has a place of its own, by trying all ways of giving them places."""
    if not phrases:
        return True
    first, *others = phrases
    for place in range(len(text) - len(first) + 1):
        if list(text[place : place + len(first)]) == list(first):
            taken = [*text[:place], *[None] * len(first), *text[place + len(first) :]]
            if holds(taken, others):
                return True
    return False


def exhaustive(table, limit, phrases, alpha=1.0):
    """Every text of at most `limit` tokens with its phrases, best first."""
    found = []
    for length in range(1, limit + 1):
        for tokens in itertools.product((A, B, C), repeat=length - 1):
            for last in (END, A, B, C) if length == limit else (END,):
                text = (*tokens, last)
                ids = list(tokens) if last == END else list(text)
                if holds(ids, phrases):
                    total = sum(math.log(table(text[:n])[text[n]]) for n in range(length))
                    found.append((total / length**alpha, ids))
    return sorted(found, key=lambda pair: -pair[0])


# Left alone, AC is written: 0.6 · 0.9.
LIKES_AC = tree({(): {A: 0.6, B: 0.4}, (A,): {C: 0.9, B: 0.1}, (B,): {A: 0.5, C: 0.3, END: 0.2}})


def test_a_phrase_of_one_token_bends_the_text() -> None:
    """With B there are AB (0.06), B (0.08), BA (0.2) and BC (0.12)."""
    assert search(LIKES_AC, [])[0].ids == [A, C]
    (found,) = search(LIKES_AC, [[B]])
    assert (found.ids, found.finish_reason) == ([B, A], "end")
    assert math.exp(sum(found.log_probabilities)) == pytest.approx(0.2)
    texts = search(LIKES_AC, [[B]], n_best=4, length_penalty=0.0)
    assert [h.ids for h in texts] == [[B, A], [B, C], [B], [A, B]]


def test_a_phrase_of_several_tokens_stands_together() -> None:
    table = tree({(): {A: 0.9, B: 0.1}, (A,): {C: 1.0}, (A, C): {B: 1.0}, (B,): {C: 0.5, A: 0.5}})
    assert search(table, [])[0].ids == [A, C, B]
    assert search(table, [[B, C]])[0].ids == [B, C]
    assert search(table, [[C, B]])[0].ids == [A, C, B]


def test_the_end_token_is_no_part_of_a_phrase() -> None:
    assert search(tree({(): {A: 1.0}}), [[A, END]], limit=5) == []


CASES = {
    "one token": [[B]],
    "two tokens": [[C, A]],
    "two phrases": [[A], [C]],
    "a common prefix": [[B, A], [B, C]],
    "the same twice": [[A], [A]],
    "two tokens twice": [[A, B], [A, B]],
    "one in another": [[A, B, A], [B]],
    "an overlap": [[A, B], [B, C]],
    "itself again": [[A, A], [A]],
    "a choice of places": [[A, B], [B, C, A]],
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", CASES)
def test_a_beam_as_wide_as_the_tree_finds_the_best_texts_there_are(case: str, seed: int) -> None:
    table, phrases = random_table(seed), CASES[case]
    wanted = exhaustive(table, 5, phrases)[:3]
    found = search(table, phrases, limit=5, beam=320, n_best=3)
    assert [h.ids for h in found] == [ids for _, ids in wanted]
    assert [h.score for h in found] == pytest.approx([score for score, _ in wanted], abs=1e-5)


@pytest.mark.parametrize("beam", [1, 2, 3, 6])
@pytest.mark.parametrize("case", CASES)
def test_narrow_beams_keep_what_must_be_there(case: str, beam: int) -> None:
    """However unlikely: the phrases' tokens have a hundredth of the others' chances."""
    phrases = CASES[case]
    needed = {token for phrase in phrases for token in phrase}
    for seed in range(5):

        def table(tokens, seed=seed):
            chances = random_table(seed)(tokens)
            return {t: c / (100 if t in needed else 1) for t, c in chances.items()}

        found = search(table, phrases, limit=9, beam=beam, n_best=beam)
        assert found
        assert all(holds(h.ids, phrases) for h in found)


@pytest.mark.parametrize("case", CASES)
def test_room_for_the_phrases_alone_is_enough_and_less_gives_nothing(case: str) -> None:
    phrases, table = CASES[case], random_table(7)
    room = sum(map(len, phrases))
    for beam in (1, 4):
        (found,) = search(table, phrases, limit=room, beam=beam)
        assert Counter(found.ids) == Counter(t for phrase in phrases for t in phrase)
        if room == 1:
            continue
        stepper = TableStepper(table, size=4)
        assert search(table, phrases, limit=room - 1, beam=beam, stepper=stepper) == []
        assert stepper.steps == 1  # known at once


def test_what_rules_forbid_gives_nothing() -> None:
    assert search(random_table(1), [[B]], processors={"suppress": [B]}) == []
    assert search(random_table(1), [[A, A]], processors={"bad-words": [[A, A]]}) == []


def test_a_text_that_is_begun_counts() -> None:
    (found,) = search(random_table(2), [[B, C]], prefix=[B, C, A], limit=4)
    assert found.ids[:3] == [B, C, A]


def test_groups_without_beams_to_spare_and_groups_that_have_ended_take_nothing() -> None:
    """Two texts are possible: A, which ends at once, and B, then A or C. The second group loses
    nothing by a beam that the first does not have, nor by A once the first has ended with it."""
    table = tree({(): {A: 0.9, B: 0.1}, (B,): {A: 0.6, C: 0.4}})
    found = search(table, [], beam=2, groups=2, diversity=5.0, n_best=2, length_penalty=0.0)
    assert [h.ids for h in found] == [[A], [B, A]]
    alone = search(tree({(): {A: 1.0}}), [], beam=8, groups=2, diversity=0.1, n_best=2)
    assert [h.ids for h in alone] == [[A], [A]]


def test_groups_obey_too() -> None:
    found = search(random_table(3), [[B, A]], beam=4, groups=2, diversity=0.5, n_best=4, limit=6)
    assert len(found) > 1
    assert all(holds(h.ids, [[B, A]]) for h in found)


@pytest.mark.parametrize("groups", [1, 2])
def test_batches_change_nothing(groups: int) -> None:
    """Texts with phrases, with others and with none, each alone and all together."""
    fields = {"beam": 4, "n_best": 4, "groups": groups, "diversity": 0.3 * (groups - 1)}
    for seed in range(6):
        table = random_table(seed)
        every = [[], [[B]], [], [[A, C], [B]], [[C, C, C]], [[A, A], [A, A]]]
        limits = [6, 4, 9, 7, 5, 3]
        some = [
            Request(prompt=[9], max_new_tokens=n, phrases=p)
            for n, p in zip(limits, every, strict=True)
        ]
        together = decode_all(TableStepper(table, size=4), build("beam", **fields), some)
        for task, found in zip(some, together, strict=True):
            (alone,) = decode_all(TableStepper(table, size=4), build("beam", **fields), [task])
            assert [h.ids for h in alone] == [h.ids for h in found]
            assert [h.score for h in alone] == pytest.approx([h.score for h in found])


@pytest.mark.parametrize("seed", range(60))
def test_coverage_is_what_trying_all_places_says(seed: int) -> None:
    chance = random.Random(seed)
    phrases = [
        [chance.choice([A, B]) for _ in range(chance.randint(1, 3))]
        for _ in range(chance.randint(1, 4))
    ]
    coverage, text = PhraseCoverage.begin(phrases), []
    assert coverage is not None
    while len(text) < 14:
        assert coverage.done is holds(text, phrases)
        assert coverage.done is (coverage.missing == 0)
        if not coverage.done:  # some token that is asked for brings the text one token further
            further = [coverage.advance(token).missing for token in coverage.next_tokens]
            assert min(further) == coverage.missing - 1
            others = [coverage.advance(token).missing for token in (A, B, C)]
            assert min(others) == coverage.missing - 1
        text.append(chance.choice([A, B, B, C] if seed % 2 else [A, B]))
        coverage = coverage.advance(text[-1])


def test_beams_are_kept_of_each_number_of_missing_tokens_in_turn() -> None:
    """The best of those that miss none, one, two; then the second best of each."""
    live = [(-1.0, 0), (-2.0, 0), (-2.5, 2), (-3.0, 0), (-4.0, 1), (-5.0, 1), (-9.0, 2)]
    for count, wanted in (
        (1, [(-1.0, 0)]),
        (2, [(-1.0, 0), (-4.0, 1)]),
        (3, [(-1.0, 0), (-2.5, 2), (-4.0, 1)]),
        (5, [(-1.0, 0), (-2.0, 0), (-2.5, 2), (-4.0, 1), (-5.0, 1)]),
        (99, live),
    ):
        assert [live[index] for index in allocate_beams(live, count)] == wanted


def test_nothing_asked_is_no_coverage() -> None:
    assert PhraseCoverage.begin([]) is None
    assert PhraseCoverage.begin([[], ()]) is None


def test_many_phrases_and_a_long_text_stay_quick() -> None:
    generator = torch.Generator().manual_seed(1)
    phrases = torch.randint(0, 4, (12, 3), generator=generator).tolist()
    coverage = PhraseCoverage.begin(phrases)
    for token in torch.randint(0, 4, (600,), generator=generator).tolist():
        coverage = coverage.advance(token)
        assert all(len(states) <= 64 for states in coverage.history)
    assert coverage.done
