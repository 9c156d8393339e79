"""Processors on a distribution that can be checked by eye."""

import math
from typing import Any

import pytest
import torch

from transformer.decoding.logits.processors import PROCESSORS, LogitsProcessorList
from transformer.decoding.request import Request, SequenceState

CHANCES = [0.4, 0.3, 0.2, 0.06, 0.04]
LOGITS_RV = torch.tensor([CHANCES, CHANCES[::-1]]).log() + 3.0


def after(**values: float) -> list[list[float]]:
    process = LogitsProcessorList({name.replace("_", "-"): value for name, value in values.items()})
    rounded = process(LOGITS_RV, []).softmax(dim=-1)
    return [[round(p, 4) for p in row] for row in rounded.tolist()]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"top_k": 2}, [0.5714, 0.4286, 0, 0, 0]),
        ({"top_k": 99}, CHANCES),
        ({"top_p": 0.4}, [1, 0, 0, 0, 0]),
        ({"top_p": 0.41}, [0.5714, 0.4286, 0, 0, 0]),
        ({"top_p": 1.0}, CHANCES),
        ({"min_p": 0.5}, [0.4444, 0.3333, 0.2222, 0, 0]),
        ({"min_p": 0.0}, CHANCES),
        ({"temperature": 1.0}, CHANCES),
        ({"temperature": 0.5}, [0.5420, 0.3049, 0.1355, 0.0122, 0.0054]),
        ({"top_k": 3, "top_p": 0.5}, [0.5714, 0.4286, 0, 0, 0]),
        # The entropy is 1.3472; -log p is 0.9163, 1.2040, 1.6094, 2.8134, 3.2189.
        ({"typical": 0.25}, [0, 1, 0, 0, 0]),
        ({"typical": 0.4}, [0, 0.6, 0.4, 0, 0]),
        ({"typical": 0.6}, [0.4444, 0.3333, 0.2222, 0, 0]),
        ({"typical": 1.0}, CHANCES),
        ({"epsilon_cutoff": 0.05}, [0.4167, 0.3125, 0.2083, 0.0625, 0]),
        ({"epsilon_cutoff": 0.5}, [1, 0, 0, 0, 0]),
        ({"epsilon_cutoff": 0.0}, CHANCES),
        # √ε·e^-H is 0.0780, then 0.0581, of which ε is the smaller.
        ({"eta_cutoff": 0.09}, [0.4444, 0.3333, 0.2222, 0, 0]),
        ({"eta_cutoff": 0.05}, [0.4167, 0.3125, 0.2083, 0.0625, 0]),
        ({"eta_cutoff": 0.0}, CHANCES),
        # σ is 0.9052 (divided by one less: 1.0120), the first two are 0.2877 apart.
        ({"top_n_sigma": 0.3}, [1, 0, 0, 0, 0]),
        ({"top_n_sigma": 0.32}, [0.5714, 0.4286, 0, 0, 0]),
        ({"top_n_sigma": 1.0}, [0.4444, 0.3333, 0.2222, 0, 0]),
        ({"top_n_sigma": 9.0}, CHANCES),
    ],
)
def test_what_is_left_of_a_distribution(values: dict[str, float], wanted: list[float]) -> None:
    assert after(**values) == [
        pytest.approx(wanted, abs=1e-4),
        pytest.approx(wanted[::-1], abs=1e-4),
    ]


@pytest.mark.parametrize("value", [0.1, 0.9, 2.0])
def test_sigma_leaves_out_what_is_forbidden(value: float) -> None:
    """What stands among tokens that cannot come is cut as if they were not there."""
    logits_RV = torch.randn(4, 12)
    columns = [0, 2, 3, 7, 11]
    among_RV = torch.full((4, 12), -math.inf)
    among_RV[:, columns] = logits_RV[:, columns]
    process = PROCESSORS["top-n-sigma"](value)
    assert torch.equal(process(among_RV, [])[:, columns], process(logits_RV[:, columns], []))


def test_sigma_keeps_the_same_at_any_temperature() -> None:
    logits_RV = torch.randn(50, 40)
    process = PROCESSORS["top-n-sigma"](1.0)
    assert torch.equal(process(logits_RV, []).isinf(), process(logits_RV * 4, []).isinf())


@pytest.mark.parametrize(
    "name", ["top-k", "top-p", "min-p", "typical", "epsilon-cutoff", "eta-cutoff", "top-n-sigma"]
)
def test_a_certain_token_stays_and_a_stuck_row_stays_stuck(name: str) -> None:
    logits_RV = torch.full((2, 5), -math.inf)
    logits_RV[0, 3] = 0.0
    assert torch.equal(PROCESSORS[name](VALUES.get(name, 1))(logits_RV, ROWS), logits_RV)


# The rows have written [2] and [3, 4, 3] after their prompt [1]; the first has a source.
ROWS = [
    SequenceState(Request(prompt=[1], max_new_tokens=9, source=[4, 2, 0, 2]), [2]),
    SequenceState(Request(prompt=[1], max_new_tokens=4), [3, 4, 3]),
]
VALUES: dict[str, Any] = {
    "bad-words": [[0], [4, 3, 2]],
    "bad-text": lambda row: [0, 2],
    "min-length": (3, [0]),
    "forced-last": [0],
    "suppress": [0, 4],
    "suppress-first": (1, [0]),
    "forced-positions": {4: 2},
    "no-repeat-ngram": 2,
    "encoder-no-repeat-ngram": 2,
    "request-constraints": [0],
    "sequence-bias": [([2], 1.0), ([4, 3, 1], -math.inf)],
    "token-bias": {2: 1.0, 4: -math.inf},
    "length-decay": (1, 1.5, [0]),
    "typical": 0.5,
    "epsilon-cutoff": 0.5,
    "eta-cutoff": 0.5,
}
# What is forbidden to each row.
FORBIDDEN = {
    "bad-words": [[0], [0, 2]],
    "min-length": [[0], []],
    "forced-last": [[], [1, 2, 3, 4]],
    "forced-first": [[], []],
    "suppress": [[0, 4], [0, 4]],
    "suppress-first": [[0], []],
    "forced-positions": [[], [0, 1, 3, 4]],
    "no-repeat-ngram": [[], [4]],
    "encoder-no-repeat-ngram": [[0], []],
    "sequence-bias": [[], [1]],
    "token-bias": [[4], [4]],
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_may_not_follow_what_was_written(name: str) -> None:
    found = PROCESSORS[name](VALUES.get(name, 1))(LOGITS_RV, ROWS)
    forbidden = [row.isinf().nonzero().flatten().tolist() for row in found]
    assert forbidden == FORBIDDEN[name]


def test_a_forced_first_token_is_certain() -> None:
    found = PROCESSORS["forced-first"](3)(LOGITS_RV, [SequenceState(ROWS[0].request, []), ROWS[1]])
    assert found.softmax(dim=-1)[0].tolist() == [0, 0, 0, 1, 0]
    assert torch.equal(found[1], LOGITS_RV[1])


@pytest.mark.parametrize("name", PROCESSORS)
def test_no_processor_forbids_everything_or_changes_its_input(name: str) -> None:
    before = LOGITS_RV.clone()
    found = PROCESSORS[name](VALUES.get(name, 1))(LOGITS_RV, ROWS)
    assert found.isfinite().any(dim=-1).all()
    assert torch.equal(LOGITS_RV, before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("temperature", 0),
        ("top-k", 0),
        ("top-k", 1.5),
        ("top-p", 0),
        ("top-p", 2),
        ("min-p", -0.1),
        ("typical", 0),
        ("typical", 1.1),
        ("typical", math.nan),
        ("top-n-sigma", 0),
        ("top-n-sigma", math.inf),
        ("epsilon-cutoff", -0.1),
        ("epsilon-cutoff", 1),
        ("eta-cutoff", -0.1),
        ("eta-cutoff", 1),
        ("repetition-penalty", 0),
        ("repetition-penalty", math.inf),
        ("encoder-repetition-penalty", 0),
        ("encoder-repetition-penalty", -2),
        ("presence-penalty", math.nan),
        ("frequency-penalty", math.inf),
        ("no-repeat-ngram", 0),
        ("encoder-no-repeat-ngram", 0),
        ("encoder-no-repeat-ngram", 1.5),
    ],
)
def test_impossible_values_are_refused_with_what_is_allowed(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} is {value}; it must be"):
        PROCESSORS[name](value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("token-bias", {-1: 1.0}, r"token-bias is for \[-1\]; it must be for ids"),
        (
            "token-bias",
            {3: math.nan},
            "token-bias of 3 is nan; it must be a finite number and between -1,000,000,000 and",
        ),
        ("token-bias", {3: math.inf}, r"token-bias of 3 is inf; it must be .* \(or -inf\)"),
        ("sequence-bias", [([], 1.0)], r"sequence-bias is for \[\]; it must be for ids"),
        ("sequence-bias", [([1, -2], 1.0)], r"sequence-bias is for \[1, -2\]; it must be"),
        ("sequence-bias", [([1, 2], -1e10)], r"sequence-bias of 1, 2 is -1.+; it must be"),
        ("length-decay", (-1, 1.1, [0]), "the start of length-decay is -1; it must be"),
        ("length-decay", (1, 0, [0]), "the factor of length-decay is 0; it must be"),
    ],
)
def test_impossible_parts_of_values_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PROCESSORS[name](value)


def test_a_token_outside_the_vocabulary_has_no_bias() -> None:
    with pytest.raises(ValueError, match="names the token 5; the vocabulary has 5 tokens"):
        PROCESSORS["token-bias"]({5: 1.0})(LOGITS_RV, ROWS)


def test_a_chain_keeps_the_tables_order() -> None:
    """Top-p after temperature: at τ = 0.5 the first two hold 0.85 of the mass."""
    assert after(top_p=0.8, temperature=0.5)[0][2:] == [0, 0, 0]
    assert math.isclose(sum(after(top_p=0.8, temperature=0.5)[0]), 1.0, abs_tol=1e-3)


def test_sigma_is_that_of_all_logits_whatever_else_cuts() -> None:
    """After top-k it would be that of two logits: 0.1438, and one would be left."""
    assert after(top_k=2, top_n_sigma=1.0)[0] == pytest.approx([0.5714, 0.4286, 0, 0, 0], abs=1e-4)
