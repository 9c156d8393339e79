"""Performer: random features by their definition, their draws, and the attention made of them."""

import itertools
import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.models import VOCABULARY, model_inputs, tiny_config, tiny_model
from tests.training.toys import recipe_of, running_data
from transformer.attention import ATTENTION, Scope, Tokens
from transformer.attention.random_features import (
    feature_exponents,
    orthogonal_directions,
)
from transformer.errors import ConfigError
from transformer.initialization import initialize
from transformer.model import Transformer
from transformer.positions import Positions
from transformer.training.trainer import Trainer

WIDTH = 8


@cache
def estimates(features: int, *, orthogonal: bool) -> tuple[Tensor, Tensor]:
    """The kernel of 20 pairs in each of 1,000 draws of features, (1000, 20), and exp(x·y)."""
    generator = torch.Generator().manual_seed(3)
    x, y = (0.25 * torch.randn(20, WIDTH, generator=generator).double() for _ in range(2))
    torch.manual_seed(4)
    found = []
    for _ in range(1000):
        drawn = torch.randn(features, WIDTH)
        drawn = orthogonal_directions(features, WIDTH) if orthogonal else drawn
        both = feature_exponents(x, drawn.double()) + feature_exponents(y, drawn.double())
        found.append(both.exp().mean(dim=1))
    return torch.stack(found), (x * y).sum(dim=1).exp()


@pytest.mark.parametrize("features", [5, 8, 20])
def test_products_of_features_have_the_kernel_as_their_mean(features: int) -> None:
    """Within four standard errors over a thousand draws, for less, just and more than a block."""
    found, wanted = estimates(features, orthogonal=True)
    errors = found.std(dim=0) / math.sqrt(len(found))
    assert ((found.mean(dim=0) - wanted).abs() < 4 * errors).all()


def test_more_features_and_orthogonal_ones_come_closer() -> None:
    def error(features: int, *, orthogonal: bool = True) -> float:
        found, wanted = estimates(features, orthogonal=orthogonal)
        return float(((found - wanted) / wanted).square().mean())

    assert error(8) > 1.5 * error(16) > 2.5 * error(64)
    assert error(16) < 0.95 * error(16, orthogonal=False)
    assert error(64) < 0.95 * error(64, orthogonal=False)


def test_directions_of_a_block_are_orthogonal_with_lengths_as_of_gaussian_vectors() -> None:
    torch.manual_seed(1)
    drawn = orthogonal_directions(20, WIDTH)
    assert drawn.shape == (20, WIDTH)
    for block in drawn.split(WIDTH):
        products = block @ block.T
        torch.testing.assert_close(products, products.diagonal().diag(), atol=1e-4, rtol=0)
    many = torch.cat([orthogonal_directions(WIDTH, WIDTH) for _ in range(500)])
    assert many.square().sum(dim=1).mean().item() == pytest.approx(WIDTH, rel=0.05)
    assert many.mean(dim=0).abs().max() < 0.06  # of 4,000, each with a deviation of 1/63
    assert many.square().sum(dim=1).std().item() == pytest.approx(math.sqrt(2 * WIDTH), rel=0.1)


def equation(model: Transformer, x_TD: Tensor, *, causal: bool) -> Tensor:
    """One layer's attention, by `Σ_j φ(q_i)·φ(k_j) v_j / Σ_j φ(q_i)·φ(k_j)`, in float64."""
    stack = model.decoder if causal else model.encoder
    attention, heads = stack.layers[0].attention, model.config.heads
    directions = attention.features.weight.double()
    sides = attention.qkv(x_TD).double().unflatten(-1, (-1, model.config.head_width))
    q, k, v = sides.chunk(3, dim=1)
    out = torch.zeros(len(x_TD), heads, model.config.head_width, dtype=torch.double)
    for head in range(heads):
        scaled = [side[:, head] * model.config.scale**0.5 for side in (q, k)]
        queries, keys = (feature_exponents(each, directions).exp() for each in scaled)
        for i in range(len(x_TD)):
            seen = i + 1 if causal else len(x_TD)
            weights = keys[:seen] @ queries[i]
            out[i, head] = weights @ v[:seen, head] / weights.sum()
    return attention.out(out.flatten(1).float())


@pytest.mark.parametrize("shape", ["decoder", "encoder"])
@pytest.mark.parametrize("length", [1, 5, 70])
def test_values_and_gradients_are_those_of_the_equation(shape: str, length: int) -> None:
    model = tiny_model(shape, attention="performer", positions="none", random_features=24)
    x_BTD = torch.randn(1, length, 16, requires_grad=True)
    stack = model.decoder if shape == "decoder" else model.encoder
    attention, seen = stack.layers[0].attention, []
    attention.register_forward_hook(lambda _m, inputs, output: seen.append((inputs[0], output)))
    stack(x_BTD)
    ((inputs, found),) = seen
    wanted = equation(model, inputs[0], causal=shape == "decoder")
    torch.testing.assert_close(found[0], wanted, atol=1e-5, rtol=1e-4)
    weights = torch.randn_like(wanted)
    parameters = [x_BTD, attention.qkv.weight]
    ours = torch.autograd.grad((found[0] * weights).sum(), parameters, retain_graph=True)
    theirs = torch.autograd.grad((wanted * weights).sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_many_features_come_close_to_full_attention_rotated_or_not() -> None:
    """The same weights, whose queries and keys are small; 4,000 features for heads of 4."""
    ids_BT = torch.randint(0, VOCABULARY, (2, 12))
    for positions in ("rotary", "none"):
        full = tiny_model(positions=positions)
        for layer in full.decoder.layers:
            layer.attention.qkv.weight.data[:32] *= 0.5  # of queries and keys
        config = tiny_config(positions=positions, attention="performer", random_features=4000)
        ours = Transformer(config).eval()
        initialize(ours, seed=1)
        ours.load_state_dict(full.state_dict(), strict=False)
        with torch.no_grad():
            wanted, found = (model.hidden(model_inputs(ids_BT)) for model in (full, ours))
        assert (found - wanted).square().mean() < 1e-3 * wanted.square().mean()


@torch.no_grad()
def test_no_later_token_changes_a_bit_of_what_is_written_before() -> None:
    """Its key may be the largest of all: a maximum over keys would tell of it."""
    model = tiny_model(attention="performer", positions="none", decoder_layers=1)
    x_BTD = torch.randn(1, 9, 16)
    before = model.decoder(x_BTD)
    for place in (1, 2, 3, 4, 5, 6, 7, 8):
        changed_BTD = x_BTD.clone()
        changed_BTD[0, place] = torch.randn(16)
        after = model.decoder(changed_BTD)
        assert torch.equal(after[:, :place], before[:, :place])
        assert not torch.equal(after[:, place:], before[:, place:])


@torch.no_grad()
def test_queries_and_keys_of_any_size_have_weights() -> None:
    model = tiny_model(
        attention="performer", d_model=256, heads=2, random_features=512, positions="none"
    )
    assert model.decoder(30 * torch.randn(1, 200, 256)).isfinite().all()
    for width, factor in itertools.product((16, 64, 128), (1e-3, 1.0, 6.0, 100.0)):
        config = tiny_config(attention="performer", d_model=2 * width, heads=2, positions="none")
        layer = ATTENTION["performer"].build(config, 0, causal=True)
        layer.features.redraw()
        layer.qkv, layer.out = torch.nn.Identity(), torch.nn.Identity()
        sides_BTD = factor * torch.randn(1, 70, 6 * width)
        scope = Scope(config, Positions(config, causal=True), causal=True)
        mixing = ATTENTION["performer"].mixing(scope, Tokens.of(sides_BTD, None), None, None)
        found_BTD, first_D = layer(sides_BTD, mixing), sides_BTD[0, 0, 4 * width :]
        assert found_BTD.isfinite().all()
        torch.testing.assert_close(found_BTD[0, 0], first_D)  # which sees itself alone


def trained(steps: int, trainer: Trainer) -> dict[str, Tensor]:
    for _ in range(steps):
        trainer.step()
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def new_trainer(**training: object) -> Trainer:
    model = tiny_model(attention="performer", random_features=6, redraw_features=2)
    return Trainer(model, running_data(), recipe_of("language-model", ema=0.9, **training))


FEATURES = "decoder.layers.0.attention.features.weight"


def test_features_are_drawn_anew_after_so_many_steps_in_each_layer_apart() -> None:
    trainer = new_trainer()
    drawn = [trained(steps, trainer) for steps in (0, 1, 1, 1, 1, 1)]
    changes = [not torch.equal(one[FEATURES], other[FEATURES]) for one, other in pairwise(drawn)]
    assert changes == [False, False, True, False, True]  # before steps 3 and 5
    assert not torch.equal(drawn[-1][FEATURES], drawn[-1][FEATURES.replace("0", "1")])


def test_features_of_a_frozen_layer_stay_as_they_are() -> None:
    trainer = new_trainer(freeze=["decoder.layers.0"])
    before, after = trained(0, trainer), trained(3, trainer)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert FEATURES.replace("0", "1") in changed
    assert not any(name.startswith("decoder.layers.0") for name in changed)


def test_a_run_that_goes_on_draws_as_one_that_was_never_interrupted(tmp_path) -> None:
    torch.manual_seed(1)
    whole = trained(5, new_trainer())
    torch.manual_seed(1)
    first = new_trainer()
    trained(3, first)
    first.save(tmp_path)
    second = new_trainer()
    second.restore(tmp_path, 3)
    for name, tensor in trained(2, second).items():
        assert torch.equal(tensor, whole[name]), name


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"d_head": 130}, "heads are 130 wide; .* allow 128 at most: use more heads"),
        ({"attention_scale": -1.0}, "attention_scale is -1.0; .* a factor above 0"),
        ({"positions": "alibi"}, "positions are alibi"),
    ],
)
def test_networks_that_cannot_be_are_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Transformer(tiny_config(attention="performer", **fields))
