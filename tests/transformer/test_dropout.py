"""Dropout: how often, how much, when, and from which seed."""

import pytest
import torch

from transformer.dropout import Dropout


@pytest.fixture(autouse=True, params=["on a CPU", "compiled or elsewhere"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of drawing: the CPU's own, and torch's, which compilers and GPUs take."""
    if request.param != "on a CPU":
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.9])
def test_a_part_p_becomes_zero_and_the_mean_stays(p: float) -> None:
    found = Dropout(p)(torch.ones(200_001))
    assert (found == 0).float().mean().item() == pytest.approx(p, abs=0.006)
    assert found.mean().item() == pytest.approx(1.0, abs=0.03)
    assert found[found > 0].unique().numel() == 1


def test_the_same_values_are_dropped_on_the_way_back() -> None:
    x = torch.randn(50, 7, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_nothing_is_dropped_in_evaluation() -> None:
    x = torch.randn(9)
    assert Dropout(0.5).eval()(x) is x


def test_the_seed_decides() -> None:
    torch.manual_seed(3)
    first = Dropout(0.5)(torch.ones(99))
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.5)(torch.ones(99)))
