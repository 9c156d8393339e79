"""What single texts are asked, and where a cut through a distribution lies exactly."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from transformer.decoding.logits.processors import PROCESSORS, LogitsProcessorList
from transformer.decoding.request import PreviousContext, Request, SequenceState

END = 0
LOGITS_RV = torch.tensor([[1.0, 2.0, -3.0, 4.0, 5.0]])


def allowed(written: list[int], **asked: object) -> list[int]:
    """What may come next in a text of which something is asked."""
    row = SequenceState(Request(**{"prompt": [1], "max_new_tokens": 9, **asked}), written)
    found = PROCESSORS["request-constraints"]([END])(LOGITS_RV, [row])
    return found[0].isfinite().nonzero().flatten().tolist()


def went_on(*ids: int) -> PreviousContext:
    """A text whose beginning a full context has forgotten."""
    return PreviousContext([1], list(ids), [0.0] * len(ids))


@pytest.mark.parametrize(
    ("written", "before", "ends"),
    [([], None, False), ([2], None, False), ([2, 3], None, True), ([], went_on(2, 3), True),
     ([4], went_on(2), True), ([], went_on(2), False)],
)  # fmt: skip
def test_a_text_ends_with_its_least_tokens_wherever_they_were_written(
    written: list[int], before: PreviousContext | None, ends: bool
) -> None:
    assert (END in allowed(written, min_new_tokens=2, previous_context=before)) is ends


def test_a_first_token_is_forced_once_and_with_certainty() -> None:
    assert allowed([], forced_first=3) == [3]
    assert allowed([3], forced_first=3) == [0, 1, 2, 3, 4]
    row = SequenceState(Request(prompt=[1], max_new_tokens=9, forced_first=3), [])
    assert PROCESSORS["request-constraints"]([END])(LOGITS_RV, [row])[0, 3] == 0


@pytest.mark.parametrize("first", [None, 3])
def test_a_prefix_follows_a_forced_first_token(first: int | None) -> None:
    begun = [] if first is None else [first]
    asked = {"forced_first": first, "prefix": [4, 2]}
    assert allowed(begun, **asked) == [4]
    assert allowed([*begun, 4], **asked) == [2]
    assert allowed([*begun, 4, 2], **asked) == [0, 1, 2, 3, 4]


def test_a_prefix_wins_over_all_rules_and_keeps_the_models_logits() -> None:
    asked = {"prefix": [END, END], "min_new_tokens": 5, "no_repeat_ngram_size": 1, "prompt": [END]}
    asked["constraint"] = lambda _: torch.tensor([2])
    for written in ([], [END]):
        row = SequenceState(Request(max_new_tokens=9, **asked), written)
        found = PROCESSORS["request-constraints"]([END])(LOGITS_RV, [row])
        assert found[0].tolist() == [1.0, *[-math.inf] * 4]
    assert allowed([END, END], **asked) == [2]


def test_a_constraint_sees_all_that_was_written_and_nothing_else() -> None:
    seen: list[Sequence[int]] = []

    def rule(written: Sequence[int]) -> Tensor:
        seen.append(list(written))
        return torch.tensor([3, 4])

    assert allowed([2], constraint=rule) == [3, 4]
    assert allowed([2], constraint=rule, previous_context=went_on(3, 4)) == [3, 4]
    assert seen == [[2], [3, 4, 2]]


def test_a_text_may_be_asked_not_to_repeat_itself() -> None:
    assert allowed([2, 3, 2], no_repeat_ngram_size=2) == [0, 1, 2, 4]
    assert allowed([2, 3, 2], no_repeat_ngram_size=3) == [0, 1, 2, 3, 4]


def test_rules_change_no_other_row_and_not_their_input() -> None:
    logits_RV = LOGITS_RV.repeat(3, 1)
    rows = [
        SequenceState(Request(prompt=[1], max_new_tokens=9, **some), [])
        for some in ({}, {"forced_first": 2}, {"min_new_tokens": 1})
    ]
    found = PROCESSORS["request-constraints"]([END])(logits_RV, rows)
    assert torch.equal(found[0], LOGITS_RV[0])
    assert torch.equal(logits_RV, LOGITS_RV.repeat(3, 1))
    assert found[2].isinf().nonzero().flatten().tolist() == [END]


def test_rules_wake_a_chain_that_has_no_processors() -> None:
    chain = LogitsProcessorList({}, [END])
    rows = [
        SequenceState(Request(prompt=[1], max_new_tokens=9), []),
        SequenceState(Request(prompt=[1], max_new_tokens=9, forced_first=2), []),
    ]
    assert chain(LOGITS_RV, rows[:1]) is LOGITS_RV
    assert chain(LOGITS_RV.repeat(2, 1), rows)[1].isfinite().nonzero().flatten().tolist() == [2]
    top = LogitsProcessorList({"top-k": 1})(LOGITS_RV, rows[:1])
    assert top.isfinite().sum() == 1


def test_what_is_suppressed_second_may_come_first() -> None:
    process = PROCESSORS["suppress-first"]((1, [0]))
    for written, forbidden in (([], []), ([3], [0]), ([3, 3], [])):
        found = process(LOGITS_RV, [SequenceState(Request(prompt=[1], max_new_tokens=9), written)])
        assert found[0].isinf().nonzero().flatten().tolist() == forbidden


def test_a_models_first_token_is_forced_after_a_prompt_of_one_token_alone() -> None:
    """As in transformers, where decoders continue longer prompts freely."""
    process = PROCESSORS["forced-first"](3)
    for prompt, allowed_ids in (([1], 1), ([1, 2], 5)):
        found = process(LOGITS_RV, [SequenceState(Request(prompt=prompt, max_new_tokens=9), [])])
        assert found[0].isfinite().sum() == allowed_ids


@pytest.mark.parametrize(
    ("asked", "suppressed"),
    [
        ({"prompt": [1]}, [False, True, False]),
        ({"prompt": [1, 2]}, [True, False, False]),
        ({"prompt": [1, 2], "forced_first": 4}, [False, True, False]),
    ],
)
def test_what_may_not_begin_a_text_is_suppressed_after_a_forced_token(
    asked: dict[str, Any], suppressed: list[bool]
) -> None:
    request, process = Request(**asked, max_new_tokens=9), PROCESSORS["suppress-first"]((1, [3]))
    states = [SequenceState(request, [0] * written) for written in range(3)]
    assert [bool(process(LOGITS_RV, [state])[0, 3].isinf()) for state in states] == suppressed


@pytest.mark.parametrize(("mass", "kept"), [(0.25, 1), (0.5, 2), (0.51, 3), (1.0, 4)])
def test_top_p_ends_with_the_token_that_reaches_the_mass(mass: float, kept: int) -> None:
    """Of four equal ones, whose chances are exactly a quarter."""
    assert PROCESSORS["top-p"](mass)(torch.zeros(1, 4), []).isfinite().sum() == kept


def test_what_is_just_likely_enough_stays() -> None:
    """Of a half and two quarters, by ε = 1/4; and by half of the likeliest."""
    logits_RV = torch.tensor([[2.0, 1.0, 1.0]]) * math.log(2)
    quarter = logits_RV.softmax(-1)[0, 1].item()
    half = (logits_RV[0, 1] - logits_RV[0, 0]).exp().item()
    for name, value in (("epsilon-cutoff", quarter), ("min-p", half)):
        assert PROCESSORS[name](value)(logits_RV, []).isfinite().all()
        assert PROCESSORS[name](value * 1.01)(logits_RV, []).isfinite().sum() == 1


@pytest.mark.parametrize("name", ["top-p", "typical"])
def test_rows_whose_tails_are_long_are_not_cut_as_their_neighbours(name: str) -> None:
    """One row is certain, one is flat over 2,000 tokens."""
    logits_RV = torch.zeros(2, 2000)
    logits_RV[0, 7] = 60.0
    logits_RV[1] += torch.randn(2000) * 0.1
    process = PROCESSORS[name](0.9)
    found = process(logits_RV, [])
    assert torch.equal(found[1:], process(logits_RV[1:], []))
    assert found[0].isfinite().sum() == 1
    assert found[1].isfinite().sum() > 1500


@pytest.mark.parametrize("value", [1.0, 1 - 1e-9])
def test_a_typical_mass_of_all_is_not_lost_to_rounding(value: float) -> None:
    for seed in range(5):
        logits_RV = torch.randn(8, 5000, generator=torch.Generator().manual_seed(seed)) * 3
        found = PROCESSORS["typical"](value)(logits_RV, [])
        lost = logits_RV.softmax(-1)[found.isinf()].sum()
        assert lost < 1e-5
        assert value < 1 or torch.equal(found, logits_RV)
