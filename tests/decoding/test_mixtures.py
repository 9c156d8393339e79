"""Requests of all kinds in one batch, which come, go and are cancelled: each as it is alone."""

import random
import time
from collections.abc import Sequence

import pytest
import torch

from tests.decoding.tables import END, STEPPERS, RewindingTable, TableStepper
from transformer.decoding import SEARCHES, Engine, Hypothesis, Request, Scheduler, decode_all
from transformer.decoding.constraints.phrase_constraint import PhraseConstraint, WordTokens
from transformer.decoding.request import RequestFinished, TokenEvent
from transformer.decoding.search.drafters import DRAFTERS, DraftOptions
from transformer.decoding.search.speculative import SpeculativeSearch

SIZE, MIXTURES = 7, 200
SPECULATIVE = [f"{name} by {drafter}" for name in ("greedy", "sample") for drafter in DRAFTERS]
FIELDS = {
    "greedy": {"processors": {"repetition-penalty": 1.3}},
    "sample": {"samples": 2, "processors": {"temperature": 1.4, "top-k": 5}},
    "beam": {"beam": 4, "n_best": 2, "groups": 2, "diversity": 0.3},
    "contrastive": {"candidates": 3, "penalty": 0.4},
}
# A phrase at the start or after a word; words begin with even tokens, and 6 ends a sentence.
WORDS = WordTokens(
    [token % 2 == 0 for token in range(SIZE)],
    torch.tensor([1, 3, 5]),
    torch.tensor([1, 2, 3, 4, 5]),
    torch.tensor([END, 2, 4, 6]),
)
PHRASES = [
    PhraseConstraint([2, 5], WORDS, start=0),
    PhraseConstraint([4, 4], WORDS, start=0, gap=1, gap_tokens=3),
]


def table(tokens: tuple[int, ...]) -> dict[int, float]:
    """Probabilities that depend on all tokens; an end is likelier the longer the text.

    Many are equal, so that a text would tell if the order of equals depended on its neighbours.
    """
    chance = random.Random(str(tokens))
    weights = [chance.choice([1, 2, 4]) for _ in range(SIZE)]
    weights[END] = [0.25, 0.5, 1, 2, 4][min(len(tokens), 4)]
    total = sum(weights)
    return {token: weight / total for token, weight in enumerate(weights)}


def engine(name: str) -> Engine:
    """An engine of a search, or of a speculative one: "greedy by lookup", "sample by model"."""
    plain, _, drafter = name.partition(" by ")
    parameters = SEARCHES[plain](end_ids=frozenset({END}), **FIELDS[plain])
    if not drafter:
        stepper = STEPPERS.get(name, TableStepper)(table, size=SIZE)
        return Engine(stepper, parameters.build())
    guesser = RewindingTable(guess, size=SIZE) if drafter == "model" else None
    options = DraftOptions(parameters=parameters, stepper=guesser, shares_source_vocabulary=True)
    search = SpeculativeSearch(parameters, DRAFTERS[drafter](options), draft_tokens=3)
    return Engine(RewindingTable(table, size=SIZE), search)


def guess(tokens: tuple[int, ...]) -> dict[int, float]:
    """The probabilities after another token: right at times."""
    return table((*tokens[:-1], tokens[-1] % 3)) if tokens else table(tokens)


def alone(name: str, request: Request) -> list[Hypothesis]:
    return decode_all(*engine(name.partition(" by ")[0]), [request])[0]


def any_request(chance: random.Random, name: str) -> Request:
    """A request with limits, a stop, a constraint and a seed of its own."""
    limit, banned = chance.randint(1, 9), chance.randint(1, SIZE - 1)
    allowed = torch.tensor([token for token in range(SIZE) if token != banned])
    last = chance.randint(1, SIZE - 1)
    return Request(
        prompt=[chance.randint(1, SIZE - 1) for _ in range(chance.randint(1, 3))],
        source=[1] * chance.randint(1, 5),
        max_new_tokens=limit,
        min_new_tokens=chance.choice([0, 0, min(2, limit - 1)]),
        rng_key=(chance.randint(0, 3),),
        seed=chance.randint(0, 3),
        prefix=chance.choice([(), (), (2, 3)]),
        forced_first=chance.choice([None, None, 4]),
        constraint=chance.choice([None, lambda ids: allowed, PHRASES[limit % len(PHRASES)]]),
        stop=chance.choice([None, lambda row: row.generated_ids[-1] == last]),
        no_repeat_ngram_size=chance.choice([0, 0, 2]),
        stream=chance.random() < 0.5,
    )


@pytest.mark.parametrize("name", [*SEARCHES, *SPECULATIVE])
def test_each_request_of_a_mixture_is_as_alone(name: str) -> None:
    """They enter and are removed at random steps, and leave no row behind."""
    for seed in range(MIXTURES // (len(SEARCHES) + len(SPECULATIVE))):
        chance, mixture = random.Random(seed), engine(name)
        waiting = [any_request(chance, name) for _ in range(chance.randint(2, 6))]
        requests, cancelled, found = list(waiting), set(), {}
        while waiting or mixture.search.requests:
            if waiting and chance.random() < 0.5:
                count = chance.randint(1, len(waiting))
                mixture.admit(waiting[:count])
                del waiting[:count]
            if mixture.search.requests and chance.random() < 0.15:
                leaving = chance.sample(mixture.search.requests, 1)
                mixture.remove(leaving)
                cancelled.update(leaving)
            for event in mixture.step():
                assert event.request not in cancelled
                if isinstance(event, RequestFinished):
                    found[event.request] = event.hypotheses
        assert mixture.stepper.written == []
        assert found.keys() | cancelled == set(requests)
        for request, hypotheses in found.items():
            alike(hypotheses, alone(name, request))


def alike(found: Sequence[Hypothesis], expected: Sequence[Hypothesis]) -> None:
    assert [h.ids for h in found] == [h.ids for h in expected]
    assert [h.finish_reason for h in found] == [h.finish_reason for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=1e-5)


@pytest.mark.parametrize("engines", [1, 3])
@pytest.mark.parametrize("name", SEARCHES)
def test_a_scheduler_gives_each_what_it_gives_alone(name: str, engines: int) -> None:
    """Cancelled while they wait or run, from the consumer, at whatever step that is."""
    for seed in range(5):
        chance, made = random.Random(seed), [engine(name) for _ in range(engines)]
        requests = [any_request(chance, name) for _ in range(20)]
        cancelled, found, tokens = set(), {}, {request: [] for request in requests}
        with Scheduler(made, budget=chance.randint(1, 60)) as scheduler:
            for start in range(0, len(requests), 5):
                scheduler.submit(requests[start : start + 5], first=chance.random() < 0.3)
            for event in scheduler.events():
                assert event.request not in cancelled
                if isinstance(event, TokenEvent):
                    tokens[event.request].append(event)
                else:
                    found[event.request] = event.hypotheses
                if chance.random() < 0.1:
                    leaving = chance.choice(requests)
                    scheduler.cancel(leaving)
                    if leaving not in found:
                        cancelled.add(leaving)
            deadline = time.monotonic() + 20
            while any(each.stepper.written for each in made):  # a cancelled one leaves its batch
                assert time.monotonic() < deadline
        assert found.keys() | cancelled == set(requests)
        for request, hypotheses in found.items():
            alike(hypotheses, alone(name, request))
            streamed = [event.id for event in tokens[request] if event.sample == 0]
            if name == "greedy" and request.stream and hypotheses:
                assert streamed == hypotheses[0].tokens
            assert request.stream or not streamed
