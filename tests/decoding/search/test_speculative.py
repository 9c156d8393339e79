"""Speculative search writes what the plain search writes, whatever is guessed."""

from pathlib import Path

import pytest
import torch

from tests.decoding.tables import (
    END,
    TOKENWISE,
    RewindingTable,
    TableStepper,
    parameters,
    tree,
    trickle,
)
from tests.models import tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transformer.decoding import SEARCHES, Engine, ModelStepper, Request, decode_all
from transformer.decoding.request import TokenEvent
from transformer.decoding.search.drafters import DRAFTERS, DraftOptions
from transformer.decoding.search.speculative import SpeculativeSearch
from transformer.decoding.steppers.ensemble import EnsembleStepper
from transformer.errors import ConfigError
from transformer.loading import LoadedModel, default_generation_config
from transformer.pipelines.arguments import SpeculationArguments
from transformer.pipelines.speculation import speculative_search

A, B, C = 1, 2, 3


class Scripted:
    """A drafter that guesses that every text is this one."""

    def __init__(self, text):
        self.text = text

    def admit(self, requests, rows_per_entry=1):
        pass

    def reorder(self, rows, rows_per_entry=1):
        pass

    def draft(self, rows, limits):
        return [
            self.text[len(row.generated_ids) :][:count]
            for row, count in zip(rows, limits, strict=True)
        ]


def guided(guess, *, draft_tokens=8, **fields) -> SpeculativeSearch:
    """Greedy search with a scripted drafter."""
    return SpeculativeSearch(
        parameters("greedy", **fields), Scripted(guess), draft_tokens=draft_tokens
    )


CHAIN = tree({(): {A: 1.0}, (A,): {B: 1.0}, (A, B): {C: 1.0}, (A, B, C): {A: 1.0}})


@pytest.mark.parametrize(
    ("guess", "proposed", "accepted", "steps"),
    [
        ([A, B, C, A, END], 5, 5, 1),  # all that is written
        ([A, B, A, A, A], 5 + 2, 2 + 1, 2),  # ABC at once, then A and the end
        ([C, C, C, C, C], 5 + 3 + 1, 1, 4),  # a rest after the first; the third, and A with it
        ([A, C, B], 3 + 1, 1, 4),  # a token that comes later is wrong here
        ([], 0, 0, 5),
    ],
)
def test_guesses_are_kept_as_far_as_they_are_right(guess, proposed, accepted, steps) -> None:
    search, stepper = guided(guess, draft_tokens=9), RewindingTable(CHAIN, size=4)
    ((found,),) = decode_all(stepper, search, [Request(prompt=[9], max_new_tokens=20)])
    assert (found.ids, found.finish_reason) == ([A, B, C, A], "end")
    assert (search.proposed, search.accepted, stepper.steps) == (proposed, accepted, steps)


@pytest.mark.parametrize(
    ("guess", "wanted"),
    [
        # Guesses for tokens 0, 2 and 6 are wrong: a rest of 1, then of 3, then of 7.
        ([B] * 30, [(2, 1), (0, 1), (2, 1), *[(0, 1)] * 3, (2, 1), *[(0, 1)] * 7, (2, 1)]),
        # 2 and 3 are right, so that 5 is wrong as if for the first time.
        ([B, B, A, A, A, B, B, B], [(2, 1), (0, 1), (2, 3), (2, 1), (0, 1), (1, 1)]),
    ],
)
def test_a_text_whose_guesses_are_wrong_rests_longer_and_longer(guess, wanted) -> None:
    """Steps as (tokens guessed, tokens written); A is written for ever."""
    search = guided(guess, draft_tokens=2)
    stepper, tasks = (
        RewindingTable(lambda tokens: {A: 1.0}, size=4),
        [Request(prompt=[9], max_new_tokens=90)],
    )
    stepper.admit(tasks)
    search.add(tasks)
    found = []
    for _ in wanted:
        before = search.proposed
        written = len(search.step(stepper))
        found.append((search.proposed - before, written))
    assert found == wanted


@pytest.mark.parametrize(
    ("rules", "limit", "wanted", "reason"),
    [
        ({"stop": lambda row: row.generated_ids[-1] == B}, 9, [A, B], "stop"),
        ({}, 3, [A, B, C], "length"),
        ({}, 4, [A, B, C, A], "length"),
        ({"processors": {"suppress": [C]}}, 9, [], None),
    ],
)
def test_a_text_ends_within_what_was_guessed(rules, limit, wanted, reason) -> None:
    search = guided([A, B, C, A, END], processors=rules.get("processors", {}))
    task = Request(prompt=[9], max_new_tokens=limit, stop=rules.get("stop"))
    (found,) = decode_all(RewindingTable(CHAIN, size=4), search, [task])
    assert [(h.ids, h.finish_reason) for h in found] == ([(wanted, reason)] if reason else [])
    assert search.proposed < limit  # the last token needs no guess


def test_a_text_that_nothing_may_follow_guesses_nothing_more_right() -> None:
    """After A and B comes C alone, which is forbidden; that B was guessed again is no merit."""
    search = guided([A, B, B, B], processors={"suppress": [C]})
    task = Request(prompt=[9], max_new_tokens=9)
    assert decode_all(RewindingTable(CHAIN, size=4), search, [task]) == [[]]
    assert search.accepted == 2


def test_no_text_rests_for_ever() -> None:
    """Rests of 1, 3, 7 and 15 steps; no longer ones."""
    search = guided([B] * 99, draft_tokens=1)
    stepper, tasks = (
        RewindingTable(lambda tokens: {A: 1.0}, size=4),
        [Request(prompt=[9], max_new_tokens=99)],
    )
    stepper.admit(tasks)
    search.add(tasks)
    guessing = []
    for step in range(70):
        before = search.proposed
        search.step(stepper)
        guessing += [step] if search.proposed > before else []
    assert guessing == [0, 2, 6, 14, 30, 46, 62]


def test_tokens_are_told_in_order_several_a_step() -> None:
    engine = Engine(RewindingTable(CHAIN, size=4), guided([A, B]))
    engine.admit([Request(prompt=[9], max_new_tokens=9)])
    assert [event.id for event in engine.step() if isinstance(event, TokenEvent)] == [A, B, C]


STOP = (5, 6, 7)
SEARCHED = {
    "greedy": {"processors": {"no-repeat-ngram": 3, "repetition-penalty": 1.1}},
    "greedy, plain": {},
    "sample": {
        "samples": 2,
        "processors": {
            "repetition-penalty": 0.8,
            "min-length": (6, [3]),
            "temperature": 0.6,
            "top-k": 9,
            "top-p": 0.9,
        },
    },
    "sample, plain": {},
}
RULES = {
    "sample": {
        "seed": 7,
        "stop": lambda row: len(row.generated_ids) > 6 and row.generated_ids[-1] in STOP,
    },
    "sample, plain": {"seed": 9},
}


def tasks_for(shape: str, **all_rules) -> list[Request]:
    generator = torch.Generator().manual_seed(5)
    tasks = []
    for number in range(20):
        size, limit = torch.randint(1, 10, (2,), generator=generator).tolist()
        ids = torch.randint(4, 23, (size,), generator=generator).tolist()
        two = shape == "encoder-decoder"
        texts = {"prompt": [2], "source": [*ids, 3]} if two else {"prompt": ids}
        rules = [{"min_new_tokens": 4}, {"prefix": [9, 8]}, {"no_repeat_ngram_size": 2}, {}, {}]
        rules = {**rules[number % 5], **all_rules}
        tasks.append(
            Request(**texts, max_new_tokens=1 + 2 * (limit - 1), rng_key=(number,), **rules)
        )
    return tasks


BOTH = {
    "decoder": {"positions": "rotary"},
    "decoder, fixed": {"attention": "fixed", "stride": 4, "summary_tokens": 1},
    "encoder-decoder": {},
}


@pytest.fixture(scope="module", params=BOTH)
def models(request):
    """A model that repeats itself now and then, and one that mostly writes as it does."""
    torch.manual_seed(1)
    shape = request.param.partition(",")[0]
    model, draft = (tiny_model(shape, **BOTH[request.param]) for _ in range(2))
    for own, other in zip(draft.parameters(), model.parameters(), strict=True):
        own.data = other.data + 0.05 * own.data
    return shape, model, draft


@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("asked", SEARCHED)
@torch.inference_mode()
def test_texts_are_the_plain_searchs(models, drafter: str, asked: str) -> None:
    shape, model, draft = models
    tasks, pick = tasks_for(shape, **RULES.get(asked, {})), asked.split(",", maxsplit=1)[0]
    of_both = parameters(pick, end_ids=frozenset({3}), **SEARCHED[asked])
    plain = decode_all(ModelStepper(model), of_both.build(), tasks)

    def search() -> SpeculativeSearch:
        made_of = DraftOptions(
            parameters=of_both, stepper=ModelStepper(draft), shares_source_vocabulary=True
        )
        return SpeculativeSearch(of_both, DRAFTERS[drafter](made_of), draft_tokens=5)

    def alike(found, wanted) -> None:
        for some, others in zip(found, wanted, strict=True):
            ours, plain = ([(h.ids, h.finish_reason) for h in h_s] for h_s in (some, others))
            assert ours == plain
            for h, w in zip(some, others, strict=True):
                assert h.log_probabilities == pytest.approx(w.log_probabilities, abs=1e-5)

    whole = search()
    alike(decode_all(ModelStepper(model), whole, tasks), plain)
    assert 0 < whole.accepted < whole.proposed
    alike(trickle(ModelStepper(model), search(), tasks[:60], most=7), plain[:60])
    some, counts = search(), [0, 0]
    decode_all(ModelStepper(model), some, tasks[:12])
    for task, wanted in zip(tasks[:12], plain, strict=False):
        one = search()
        alike(decode_all(ModelStepper(model), one, [task]), [wanted])
        counts = [counts[0] + one.proposed, counts[1] + one.accepted]
    assert [some.proposed, some.accepted] == counts


@pytest.mark.parametrize("pick", TOKENWISE)
@torch.inference_mode()
def test_a_draft_that_is_the_model_itself_is_always_right(models, pick: str) -> None:
    shape, model, _ = models
    of_both = parameters(pick, end_ids=frozenset({3}), processors={"temperature": 0.8})
    made_of = DraftOptions(parameters=of_both, stepper=ModelStepper(model))
    search = SpeculativeSearch(of_both, DRAFTERS["model"](made_of), draft_tokens=3)
    decode_all(ModelStepper(model), search, tasks_for(shape)[:40])
    assert search.accepted == search.proposed > 0


@torch.inference_mode()
def test_an_ensemble_can_be_written_ahead_of(models) -> None:
    shape, model, draft = models
    greedy, tasks = parameters("greedy", end_ids=frozenset({3})), tasks_for(shape)[:20]

    def together():
        return EnsembleStepper([ModelStepper(model), ModelStepper(draft)])

    made_of = DraftOptions(parameters=greedy, stepper=ModelStepper(draft))
    found = decode_all(together(), SpeculativeSearch(greedy, DRAFTERS["model"](made_of)), tasks)
    plain = decode_all(together(), greedy.build(), tasks)
    assert [h.ids for (h,) in found] == [h.ids for (h,) in plain]


def loaded(folder: str, text: str = "abcd", **changes) -> LoadedModel:
    tokenizer = train_tokenizer([text] * 9, TrainingOptions(kind="char", vocab_size=12))
    model = tiny_model(vocab_size=tokenizer.vocab_size, **changes)
    return LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path(folder))


@torch.inference_mode()
def test_a_search_is_made_of_parameters_and_models() -> None:
    """Where nothing has been said twice yet, it is the draft model that guesses."""
    one, greedy = loaded("one"), parameters("greedy", end_ids=frozenset())
    tasks = [Request(prompt=[4, 5], max_new_tokens=12)]
    plain = decode_all(ModelStepper(one.model), greedy.build(), tasks)
    for asked, count in (({}, 0), ({"draft": loaded("two")}, 8), ({"draft_tokens": 1}, 0),
                         ({"draft": one, "draft_tokens": 3}, 3)):  # fmt: skip
        search = speculative_search(greedy, one, **asked)
        assert decode_all(ModelStepper(one.model), search, tasks)[0][0].ids == plain[0][0].ids
        engine = Engine(ModelStepper(one.model), speculative_search(greedy, one, **asked))
        engine.admit(tasks)
        engine.step()
        assert engine.search.proposed == count


SLIDING = {"attention": "sliding", "window": 4}


@pytest.mark.parametrize(
    ("model", "draft", "message"),
    [
        (SLIDING, None, "the cache of a sliding window cannot take tokens back"),
        ({}, SLIDING, "the cache of a sliding window cannot"),
        ({}, {"text": "abcx"}, r"one and two cannot .* 'd', 'x'"),
        ({}, {"max_positions": 16}, "its context is 16, not 32"),
    ],
)
def test_models_that_cannot_be_are_refused(model, draft, message: str) -> None:
    draft = None if draft is None else loaded("two", **draft)
    with pytest.raises(ConfigError, match=message):
        speculative_search(parameters("greedy"), loaded("one", **model), draft)


@pytest.mark.parametrize("name", sorted(set(SEARCHES) - set(TOKENWISE)))
def test_searches_that_select_no_single_tokens_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"is greedy or samples; the search .* is '{name}'"):
        speculative_search(parameters(name), loaded("one"))


def test_no_draft_of_no_tokens_can_be_asked_for() -> None:
    with pytest.raises(ConfigError, match="--draft-tokens is 0; it must be at least 1"):
        SpeculationArguments(lookup=True, draft_tokens=0)


@torch.inference_mode()
def test_steppers_that_cannot_take_back_are_refused() -> None:
    for stepper in (TableStepper(CHAIN, size=4), ModelStepper(tiny_model(**SLIDING))):
        with pytest.raises(ConfigError, match="take tokens back"):
            decode_all(stepper, guided([A]), [Request(prompt=[9], max_new_tokens=4)])
