"""Optimizers by their equations, what decays, and the running average, by hand."""

import pytest
import torch
from torch import nn

from tests.models import tiny_model
from transformer.training.optimizers import EMA, OPTIMIZERS, parameter_groups
from transformer.training.recipe import TrainingRecipe


def recipe(**changes: float) -> TrainingRecipe:
    return TrainingRecipe(beta1=0.6, beta2=0.9, adam_eps=0.5, **changes)


def steps(name: str, gradients: list[float], *, decay: float = 0.0) -> list[float]:
    """A matrix of one number, from 2, at the rate 0.1."""
    weight = nn.Parameter(torch.tensor([[2.0]]))
    groups = [{"params": [weight], "weight_decay": decay}]
    optimizer = OPTIMIZERS[name].build(groups, recipe())
    found = []
    for gradient in gradients:
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        found.append(weight.item())
    return found


def test_adam_is_the_papers() -> None:
    """`w ← w - η·(m̂ / (√v̂ + ε) + λ·w)`; arXiv 1412.6980 and 1711.05101."""
    wanted, weight, first, second = [], 2.0, 0.0, 0.0
    for step, gradient in enumerate([1.0, -0.5, 3.0], 1):
        first, second = 0.6 * first + 0.4 * gradient, 0.9 * second + 0.1 * gradient**2
        unbiased = first / (1 - 0.6**step), second / (1 - 0.9**step)
        weight -= 0.1 * (unbiased[0] / (unbiased[1] ** 0.5 + 0.5) + 0.3 * weight)
        wanted.append(weight)
    assert steps("adamw", [1.0, -0.5, 3.0], decay=0.3) == pytest.approx(wanted, rel=1e-5)


def test_sgd_has_momentum() -> None:
    """`m ← 0.6·m + g`, `w ← w - 0.1·m`: of 1 and 1, the second step is 1.6 times as long."""
    assert steps("sgd", [1.0, 1.0]) == pytest.approx([1.9, 1.74])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_moves_before_it_has_a_rate(name: str) -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = OPTIMIZERS[name].build(parameter_groups([(weight, 1.0)], 0.5), recipe())
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert torch.equal(weight, torch.ones(2, 2))


@pytest.mark.parametrize("shape", ["encoder", "decoder", "encoder-decoder"])
def test_matrices_decay_and_vectors_do_not(shape: str) -> None:
    model = tiny_model(shape, output_bias=True)
    groups = parameter_groups(((weight, 1.0) for weight in model.parameters()), 0.1)
    decays = {id(w): group["weight_decay"] for group in groups for w in group["params"]}
    names = dict(model.named_parameters())
    assert decays.keys() == {id(weight) for weight in names.values()}
    assert sum(len(group["params"]) for group in groups) == len(names)  # none of them twice
    for name, weight in names.items():
        matrix = name.endswith("weight") and "norm" not in name
        assert decays[id(weight)] == (0.1 if matrix else 0.0), name


class TwoWeights(nn.Module):
    def __init__(self, first: float, second: float) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor([first]))
        self.second = nn.Parameter(torch.tensor([second]))


def test_an_average_is_that_of_its_definition() -> None:
    """β is (1+n)/(10+n) at first: 2/11, then 3/12; it stays at what is asked, here 0.24, once it
    has climbed there. Weights are found by their names, in whatever order they come."""
    model = TwoWeights(0.0, 11.0)
    average = EMA(model.state_dict(), 0.24)
    model.first.data.fill_(99.0)  # what the model becomes does not reach the average by itself
    weights = {"second": torch.tensor([0.0]), "first": torch.tensor([11.0])}
    average.update(weights, 1, torch.tensor(True))
    assert [average.weights[n].item() for n in ("first", "second")] == pytest.approx([9.0, 2.0])
    average.update(weights, 2, torch.tensor(True))
    wanted = [0.24 * 9.0 + 0.76 * 11.0, 0.24 * 2.0]
    average.update(weights, 3, torch.tensor(False))  # a step that was skipped
    assert [average.weights[n].item() for n in ("first", "second")] == pytest.approx(wanted)


def test_an_average_has_no_gradients() -> None:
    found = EMA(dict(TwoWeights(1.0, 2.0).named_parameters()), 0.9).weights
    assert not any(w.requires_grad for w in found.values())
