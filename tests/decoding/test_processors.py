"""Processors on a distribution that can be checked by eye."""

import math
from typing import Any

import pytest
import torch
from transformers.generation import logits_process as references

from transformer.decoding.processors import PROCESSORS, Chain
from transformer.decoding.tasks import Row, Task

CHANCES = [0.4, 0.3, 0.2, 0.06, 0.04]
LOGITS_RV = torch.tensor([CHANCES, CHANCES[::-1]]).log() + 3.0


def after(**values: float) -> list[list[float]]:
    process = Chain({name.replace("_", "-"): value for name, value in values.items()})
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
    ],
)
def test_what_is_left_of_a_distribution(values: dict[str, float], wanted: list[float]) -> None:
    assert after(**values) == [
        pytest.approx(wanted, abs=1e-4),
        pytest.approx(wanted[::-1], abs=1e-4),
    ]


# The rows have written [2] and [3, 4, 3] after their prompt [1].
ROWS = [Row(Task(prompt=[1], limit=9), [2]), Row(Task(prompt=[1], limit=4), [3, 4, 3])]
VALUES: dict[str, Any] = {
    "bad-words": [[0], [4, 3, 2]],
    "min-length": (3, [0]),
    "forced-last": [0],
    "suppress": [0, 4],
    "suppress-first": (1, [0]),
    "no-repeat-ngram": 2,
    "task-rules": [0],
}
# What is forbidden to each row.
FORBIDDEN = {
    "bad-words": [[0], [0, 2]],
    "min-length": [[0], []],
    "forced-last": [[], [1, 2, 3, 4]],
    "forced-first": [[], []],
    "suppress": [[0, 4], [0, 4]],
    "suppress-first": [[0], []],
    "no-repeat-ngram": [[], [4]],
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_may_not_follow_what_was_written(name: str) -> None:
    found = PROCESSORS[name](VALUES.get(name, 1))(LOGITS_RV, ROWS)
    forbidden = [row.isinf().nonzero().flatten().tolist() for row in found]
    assert forbidden == FORBIDDEN[name]


def test_a_forced_first_token_is_certain() -> None:
    found = PROCESSORS["forced-first"](3)(LOGITS_RV, [Row(ROWS[0].task, []), ROWS[1]])
    assert found.softmax(dim=-1)[0].tolist() == [0, 0, 0, 1, 0]
    assert torch.equal(found[1], LOGITS_RV[1])


def test_repetition_divides_positive_logits_and_multiplies_negative_ones() -> None:
    logits_RV = torch.tensor([[1.0, 2.0, -3.0, 4.0, 5.0], [1.0, -2.0, 3.0, 4.0, -5.0]])
    found = PROCESSORS["repetition-penalty"](2.0)(logits_RV, ROWS)
    assert found.tolist() == [[1.0, 1.0, -6.0, 4.0, 5.0], [1.0, -4.0, 3.0, 2.0, -10.0]]


@pytest.mark.parametrize("name", PROCESSORS)
def test_no_processor_forbids_everything_or_changes_its_input(name: str) -> None:
    before = LOGITS_RV.clone()
    found = PROCESSORS[name](VALUES.get(name, 1))(LOGITS_RV, ROWS)
    assert found.isfinite().any(dim=-1).all()
    assert torch.equal(LOGITS_RV, before)


REFERENCES = {
    "repetition-penalty": (1.7, lambda: references.RepetitionPenaltyLogitsProcessor(1.7)),
    "no-repeat-ngram": (2, lambda: references.NoRepeatNGramLogitsProcessor(2)),
    "bad-words": (
        [[5], [2, 3], [1, 1, 4]],
        lambda: references.NoBadWordsLogitsProcessor([[5], [2, 3], [1, 1, 4]], eos_token_id=0),
    ),
    "min-length": (
        (6, [0]),
        lambda: references.MinLengthLogitsProcessor(6, torch.tensor([0])),
    ),
    "forced-first": (3, lambda: references.ForcedBOSTokenLogitsProcessor(3)),
    "forced-last": ([0], lambda: references.ForcedEOSTokenLogitsProcessor(8, torch.tensor([0]))),
    "suppress": ([2, 7], lambda: references.SuppressTokensLogitsProcessor([2, 7])),
    "suppress-first": (
        (0, [2, 7]),
        lambda: references.SuppressTokensAtBeginLogitsProcessor([2, 7], 1),
    ),
    "task-rules": ([], lambda: lambda ids, logits: logits),
    "temperature": (0.7, lambda: references.TemperatureLogitsWarper(0.7)),
    "top-k": (3, lambda: references.TopKLogitsWarper(3)),
    "top-p": (0.6, lambda: references.TopPLogitsWarper(0.6)),
    "min-p": (0.2, lambda: references.MinPLogitsWarper(0.2)),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_processors_do_what_those_of_transformers_do(name: str) -> None:
    """Texts of one to seven tokens from a small vocabulary, so that much is repeated."""
    value, make = REFERENCES[name]
    ours, theirs = PROCESSORS[name](value), make()
    for length in range(1, 8):
        ids_RT, logits_RV = torch.randint(1, 5, (6, length)), torch.randn(6, 9).log_softmax(-1)
        rows = [Row(Task(prompt=ids[:1], limit=7), ids[1:]) for ids in ids_RT.tolist()]
        found, wanted = ours(logits_RV, rows), theirs(ids_RT, logits_RV.clone())
        torch.testing.assert_close(found.softmax(-1), wanted.softmax(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("top-k", 0),
        ("top-k", 1.5),
        ("top-p", 0),
        ("top-p", 2),
        ("min-p", -0.1),
    ],
)
def test_impossible_values_are_refused_with_what_is_allowed(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} is {value:g}; it must be"):
        PROCESSORS[name](value)


def test_a_chain_keeps_the_tables_order() -> None:
    """Top-p after temperature: at τ = 0.5 the first two hold 0.85 of the mass."""
    assert after(top_p=0.8, temperature=0.5)[0][2:] == [0, 0, 0]
    assert math.isclose(sum(after(top_p=0.8, temperature=0.5)[0]), 1.0, abs_tol=1e-3)
