"""Processors on a distribution that can be checked by eye."""

import math

import pytest
import torch

from transformer.decoding.processors import PROCESSORS, chain

CHANCES = [0.4, 0.3, 0.2, 0.06, 0.04]
LOGITS_RV = torch.tensor([CHANCES, CHANCES[::-1]]).log() + 3.0


def after(**values: float) -> list[list[float]]:
    process = chain({name.replace("_", "-"): value for name, value in values.items()})
    rounded = process(LOGITS_RV).softmax(dim=-1)
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


@pytest.mark.parametrize("name", PROCESSORS)
def test_no_processor_forbids_everything_or_changes_its_input(name: str) -> None:
    before = LOGITS_RV.clone()
    found = PROCESSORS[name](1)(LOGITS_RV)
    assert found.isfinite().any(dim=-1).all()
    assert found.argmax(dim=-1).tolist() == LOGITS_RV.argmax(dim=-1).tolist()
    assert torch.equal(LOGITS_RV, before)


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
