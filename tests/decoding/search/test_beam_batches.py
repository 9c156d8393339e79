"""Beam search of many requests at once, against its definition for one, in plain lists."""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor

from tests.decoding.tables import END, TableStepper, trickle
from tests.decoding.test_search import C, random_table
from transformer.decoding import Request
from transformer.decoding.request import Hypothesis, RequestFinished, SequenceState
from transformer.decoding.search import BeamParameters
from transformer.decoding.search.beam_rows import BeamRows, Candidates

Text = tuple[int, ...]
Scored = list[tuple[float, Text]]


class PromptTable(TableStepper):
    """A table for each prompt: of its tokens the first is the prompt's last."""

    def step(self, ids_R: Tensor) -> Tensor:
        self.written = [() if text is None else text for text in self.written]
        return super().step(ids_R)


def table_of(tokens: Text) -> Mapping[int, float]:
    return random_table(tokens[0])(tokens[1:])


def definition(request: Request, options: BeamParameters) -> Scored:
    """Groups of beams that avoid what earlier groups took; what ended of the best, best first."""
    size = options.beam // options.groups
    most = size + size * options.groups  # candidates of a group
    growing: list[Scored] = [[(0.0, ())] for _ in range(options.groups)]
    ended: list[Scored] = [[] for _ in range(options.groups)]
    for length in range(1, request.max_new_tokens + 1):
        taken: Counter[int] = Counter()
        for group in range(options.groups):
            ways = [
                (total + math.log(p), (*text, token))
                for total, text in growing[group]
                for token, p in table_of((request.prompt[-1], *text)).items()
                if length > request.min_new_tokens or token not in options.end_ids
            ]
            cost = [(s - options.diversity * taken[t[-1]], t) for s, t in best(ways)[:most]]
            growing[group] = []
            for rank, (total, text) in enumerate(best(cost)):
                if options.finish_reason(SequenceState(request, [*text])):
                    ended[group] += [(options.score(total, length), text)] if rank < size else []
                elif len(growing[group]) < size:
                    growing[group].append((total, text))
            taken.update(text[-1] for _, text in growing[group])
            ended[group] = best(ended[group])[:size]
            if len(ended[group]) == size and growing[group]:
                longest = options.early_stopping == "never" and options.length_penalty > 0
                hoped = request.max_new_tokens if longest else length
                bound = options.score(growing[group][0][0], hoped)
                if options.early_stopping is True or bound <= ended[group][-1][0]:
                    growing[group] = []
    return best([one for group in ended for one in group])[: options.n_best]


def best(scored: Scored) -> Scored:
    return sorted(scored, key=lambda one: -one[0])


def random_options(chance: random.Random) -> BeamParameters:
    groups, size = chance.choice([1, 1, 2, 3]), chance.choice([1, 2, 4])
    return BeamParameters(
        end_ids=frozenset(chance.choice([[END], [END, C], []])),
        beam=groups * size,
        n_best=chance.randint(1, groups * size),
        groups=groups,
        diversity=chance.choice([0.0, 0.4, 2.0]),
        length_penalty=chance.choice([-0.5, 0.0, 1.0, 1.7]),
        length_penalty_kind=chance.choice(["power", "gnmt"]),
        early_stopping=chance.choice([False, True, "never"]),
    )


def random_requests(chance: random.Random, count: int) -> list[Request]:
    stops: list[Callable[[SequenceState], bool]] = [
        lambda row: row.generated_ids[-2:] == [C, C],
        lambda row: row.last_id != C,  # fewer go on than there are beams
    ]
    return [
        Request(
            prompt=[9, chance.randrange(99)],
            max_new_tokens=chance.randint(1, 8),
            min_new_tokens=chance.choice([0, 0, 2]),
            stop=chance.choice([None, *stops]),
        )
        for _ in range(count)
    ]


def exactly(hypotheses: Sequence[Hypothesis]) -> list[tuple[object, ...]]:
    return [tuple(hypothesis) for hypothesis in hypotheses]


@pytest.mark.parametrize("seed", range(60))
def test_each_request_is_searched_by_the_definition_whatever_goes_on_beside_it(seed: int) -> None:
    chance = random.Random(seed)
    options, requests = random_options(chance), random_requests(chance, 6)
    stepper = PromptTable(table_of, size=4)
    together = trickle(stepper, options.build(), requests, most=chance.choice([2, 4]))
    for request, hypotheses in zip(requests, together, strict=True):
        wanted = definition(request, options)
        assert [tuple(h.tokens) for h in hypotheses] == [text for _, text in wanted]
        assert [h.score for h in hypotheses] == pytest.approx([s for s, _ in wanted], abs=1e-5)
        for hypothesis in hypotheses:
            text = (request.prompt[-1], *hypothesis.tokens)
            log_probs = [math.log(table_of(text[:n])[text[n]]) for n in range(1, len(text))]
            assert hypothesis.log_probabilities == pytest.approx(log_probs, abs=1e-5)


def decode(
    options: BeamParameters,
    arrivals: Mapping[int, list[Request]],
    leaving: Mapping[int, set[Request]],
) -> dict[Request, list[tuple[object, ...]]]:
    """Each finished request's hypotheses; requests arrive and are removed before some steps."""
    stepper, search = PromptTable(table_of, size=4), options.build()
    done = {}
    for step in range(30):
        if new := arrivals.get(step):
            stepper.admit(new, search.width)
            search.add(new)
        if step in leaving:
            search.remove(leaving[step], stepper)
            assert not leaving[step] & set(search.requests)
        assert len(stepper.written) == search.width * len(search.requests)
        events = search.step(stepper) if search.requests else []
        done |= {e.request: exactly(e.hypotheses) for e in events if isinstance(e, RequestFinished)}
    assert not search.requests
    return done


@pytest.mark.parametrize("seed", range(40))
def test_removed_requests_leave_no_trace(seed: int) -> None:
    """Some have finished before, and are no longer there to be removed."""
    chance = random.Random(seed)
    options, requests = random_options(chance), random_requests(chance, 8)
    arrivals = {0: requests[:3], 2: requests[3:4], 3: requests[4:]}
    removed = set(chance.sample(requests, chance.choice([1, 4, 8])))
    leaving = {
        step: {r for r in removed if requests.index(r) % 3 == step - 3} for step in (3, 4, 5)
    }
    stopped = [Request(prompt=[9, 5], max_new_tokens=7, stop=lambda row: row.last_id == C)]
    arrivals[1] = stopped if seed % 2 else []
    done = decode(options, arrivals, leaving)
    others = {step: [r for r in new if r not in removed] for step, new in arrivals.items()}
    wanted = decode(options, others, {})
    assert {request: done[request] for request in wanted} == wanted
    assert len(wanted) == len(stopped) * (seed % 2) + len(set(requests) - removed)


def test_removing_the_last_request_leaves_no_rows() -> None:
    options = BeamParameters(end_ids=frozenset({END}), beam=3)
    stepper, search = PromptTable(table_of, size=4), options.build()
    (first, second), width = random_requests(random.Random(1), 2), search.width
    stepper.admit([first], width)
    search.add([first])
    search.step(stepper)
    search.remove([first], stepper)
    assert (search.requests, stepper.written) == ([], [])
    search.remove([first], stepper)
    stepper.admit([second], width)
    search.add([second])
    search.add([])
    assert search.requests == [second]
    events = []
    while search.requests:
        events += search.step(stepper)
    assert exactly(events[0].hypotheses) == decode(options, {0: [second]}, {})[second]


def test_rows_are_as_long_as_the_longest_text_that_goes_on() -> None:
    rows, requests = BeamRows(width=2), random_requests(random.Random(3), 3)
    sizes = []
    for joining, leaving in ((0, None), (1, None), (None, 0), (2, None), (None, 1)):
        if joining is not None:
            rows.append([requests[joining]], [0.0, -1.0])
        count = len(rows.scores_R)
        parents_R, tokens_R = torch.arange(count), torch.full((count,), 7)
        rows.advance(Candidates(rows.scores_R, parents_R, tokens_R, rows.scores_R))
        kept_rows = rows.drop([] if leaving is None else [requests[leaving]])
        assert len(kept_rows) == len(rows.tokens_RT) == 2 * len(rows.requests)
        sizes.append(rows.tokens_RT.size(1))
    assert sizes == [1, 2, 2, 3, 2]
    assert [state.generated_ids for state in rows.states(torch.tensor([0, 1]))] == [[7, 7]] * 2
