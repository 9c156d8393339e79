"""Linear maps in kernels: what they compute, alone and in networks of all shapes."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models import SHAPES, VOCABULARY, model_inputs, tiny_model
from transformer.attention import ATTENTION
from transformer.heads.base import TokenHead
from transformer.kernels import LINEAR_KERNELS, PackedLinear, can_hold, is_usable
from transformer.kernels import linear as kernels
from transformer.loading import pack_model
from transformer.model import Transformer
from transformer.uninitialized import Linear

every_kernel = pytest.mark.parametrize("name", list(LINEAR_KERNELS))
either_way = pytest.mark.parametrize("small", [0, 10**9], ids=["kernel", "plain"])


def linear(outputs: int, inputs: int, *, bias: bool = True) -> Linear:
    made = Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn_like(weight))
    return made.requires_grad_(False)


@every_kernel
@either_way
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_map_is_that_of_the_rounded_weights(monkeypatch, name, small, bias) -> None:
    monkeypatch.setattr(kernels, "_SMALL", small)
    kernel, plain = LINEAR_KERNELS[name], linear(37, 70, bias=bias)
    packed = PackedLinear(plain.weight, plain.bias, kernel)
    for shape in ((1, 1), (1, 5), (3, 1), (70, 1), (2, 40), (7,), (0, 1)):
        x = torch.randn(*shape, 70)
        wanted = F.linear(x, kernel.round(plain.weight), plain.bias)
        torch.testing.assert_close(packed(x), wanted, atol=2e-5, rtol=1e-5)


@every_kernel
@torch.inference_mode()
def test_a_row_does_not_depend_on_its_neighbours(monkeypatch, name) -> None:
    """To the bit, in the kernel; F.linear itself differs between one row and several."""
    monkeypatch.setattr(kernels, "_SMALL", 0)
    plain = linear(64, 96)
    packed = PackedLinear(plain.weight, plain.bias, LINEAR_KERNELS[name])
    x_RI = torch.randn(160, 96)
    whole_RO = packed(x_RI)
    for rows in (1, 2, 3, 5, 8, 33, 100):
        assert torch.equal(packed(x_RI[:rows]), whole_RO[:rows])


def test_small_products_are_plain_and_large_ones_are_not(monkeypatch) -> None:
    monkeypatch.setattr(kernels, "_SMALL", 4 * 20 * 10)
    calls = []

    class Counted:
        def pack(self, weight, bias):
            return weight

        def apply(self, x, packed):
            calls.append(len(x))
            return x @ packed.T

        def round(self, weight):
            return weight

    small, large = (
        PackedLinear(linear(outputs, 10, bias=False).weight, None, Counted())
        for outputs in (20, 81)
    )
    for rows in (1, 4, 5):
        small(torch.randn(rows, 10))
        large(torch.randn(rows, 10))
    assert calls == [1, 4, 5, 5]
    assert large.plain is None  # its numbers are kept once


def rounded(model: Transformer, kernel) -> Transformer:
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, Linear):
            module.weight = nn.Parameter(kernel.round(module.weight), requires_grad=False)
    if isinstance(other.head, TokenHead):
        weight = kernel.round(other.head.projection(other.embedding.weight))
        other.head.projection = lambda embedding_VD: weight
    return other


def packed(model: Transformer, kernel) -> Transformer:
    pack_model(model, kernel)
    return model


def written(model: Transformer, prompt_BT: Tensor, **source: Tensor) -> list[Tensor]:
    """States of a prompt, then of single tokens, and their logits."""
    cache, found = model.new_cache(2, 9, **source), []
    for start, end in ((0, 5), (5, 6), (6, 7)):
        positions_BT = torch.arange(start, end).expand(2, -1)
        states = model.decode(prompt_BT[:, start:end], positions_BT, cache, end)
        found += [states, model.logits(states)]
    return found


@every_kernel
@either_way
@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        *((shape, {}) for shape in SHAPES),
        ("decoder", {"logit_softcap": 0.1, "output_scale": 0.5}),
        ("decoder", {"tie_output": False, "output_bias": True, "feedforward": "swiglu"}),
        ("encoder", {"head": "masked"}),
        ("encoder", {"head": "classification", "labels": 3}),
        ("encoder", {"head": "tagging", "labels": 3}),
        ("encoder", {"head": "none"}),
    ],
    ids=str,
)
@torch.inference_mode()
def test_networks_are_those_of_rounded_weights(monkeypatch, name, small, shape, fields) -> None:
    monkeypatch.setattr(kernels, "_SMALL", small)
    kernel, model = LINEAR_KERNELS[name], tiny_model(shape, **fields).requires_grad_(False)
    plain, ids_BT = rounded(model, kernel), torch.randint(0, VOCABULARY, (2, 7))
    source = {"source_BS": ids_BT.flip(1)} if shape == "encoder-decoder" else {}
    wanted = plain(model_inputs(ids_BT, **source))
    model = packed(model, kernel)
    torch.testing.assert_close(model(model_inputs(ids_BT, **source)), wanted, atol=1e-5, rtol=1e-5)
    if shape != "encoder":
        for one, other in zip(
            written(model, ids_BT, **source), written(plain, ids_BT, **source), strict=True
        ):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@every_kernel
@pytest.mark.parametrize("attention", list(ATTENTION))
@torch.inference_mode()
def test_every_kind_of_attention_decodes_in_kernels(monkeypatch, name, attention) -> None:
    monkeypatch.setattr(kernels, "_SMALL", 0)
    kernel = LINEAR_KERNELS[name]
    model = tiny_model("encoder-decoder", attention=attention, window=3).requires_grad_(False)
    plain, ids_BT = rounded(model, kernel), torch.randint(0, VOCABULARY, (2, 7))
    source = {"source_BS": ids_BT.flip(1)}
    wanted = written(plain, ids_BT, **source)
    for one, other in zip(written(packed(model, kernel), ids_BT, **source), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@every_kernel
def test_weights_are_kept_once(monkeypatch, name) -> None:
    monkeypatch.setattr(kernels, "_SMALL", 0)
    model = packed(tiny_model("encoder-decoder").requires_grad_(False), LINEAR_KERNELS[name])
    assert not any(isinstance(module, Linear) for module in model.modules())
    left = {name for name, weight in model.state_dict().items() if weight.dim() == 2}
    assert left == {"embedding.weight"}


def test_a_map_beyond_float16_stays_in_float32(monkeypatch) -> None:
    monkeypatch.setattr(kernels, "_SMALL", 0)
    model = tiny_model("decoder").requires_grad_(False)
    kernel, large = LINEAR_KERNELS["float16"], model.decoder.layers[0].feedforward.up
    large.weight[3, 2] = 100_000
    model.embedding.weight[1, 1] = -100_000  # the projection's, too
    assert not can_hold(kernel, large.weight)
    packed(model, kernel)
    assert model.decoder.layers[0].feedforward.up is large
    assert isinstance(model.decoder.layers[0].feedforward.down, PackedLinear)
    assert model.head.packed is None


@pytest.mark.parametrize("failure", ["missing", "wrong"])
def test_kernels_are_tried_before_they_are_used(monkeypatch, failure) -> None:
    class Broken(kernels.Float16Kernel):
        def apply(self, x, packed):
            if failure == "missing":
                raise NotImplementedError("no such operator")
            return super().apply(x, packed) * 1.01

    monkeypatch.setitem(LINEAR_KERNELS, "broken", Broken())
    assert not is_usable("broken")
    is_usable.cache_clear()
