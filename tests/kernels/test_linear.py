"""Linear maps in kernels: what they compute, alone and in networks of all shapes."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models import SHAPES, VOCABULARY, model_inputs, tiny_model
from transformer import losses
from transformer.attention import ATTENTION
from transformer.batch_loss import batch_loss
from transformer.heads import base
from transformer.heads.base import TokenHead
from transformer.inputs import Batch
from transformer.kernels import (
    LINEAR_KERNELS,
    PackedLinear,
    can_hold,
    is_usable,
    pack_linear_maps,
    packing,
)
from transformer.kernels.linear import Float16Kernel
from transformer.loading import pack_model
from transformer.model import Transformer
from transformer.uninitialized import Linear

every_kernel = pytest.mark.parametrize("name", list(LINEAR_KERNELS))


def linear(outputs: int, inputs: int, *, bias: bool = True) -> Linear:
    made = Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn_like(weight))
    return made.requires_grad_(False)


@every_kernel
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_map_is_that_of_the_rounded_weights(name, bias) -> None:
    kernel, plain = LINEAR_KERNELS[name], linear(37, 70, bias=bias)
    packed = PackedLinear(plain.weight, plain.bias, kernel)
    for shape in ((1, 1), (1, 5), (3, 1), (70, 1), (2, 40), (7,), (0, 1)):
        x = torch.randn(*shape, 70)
        wanted = F.linear(x, kernel.rounded(plain.weight), plain.bias)
        torch.testing.assert_close(packed(x), wanted, atol=2e-5, rtol=1e-5)


@every_kernel
@torch.inference_mode()
def test_a_row_does_not_depend_on_its_neighbours(name) -> None:
    """To the bit; F.linear itself differs between one row and several."""
    plain = linear(64, 96)
    packed = PackedLinear(plain.weight, plain.bias, LINEAR_KERNELS[name])
    x_RI = torch.randn(160, 96)
    whole_RO = packed(x_RI)
    for rows in (1, 2, 3, 5, 8, 33, 100):
        assert torch.equal(packed(x_RI[:rows]), whole_RO[:rows])


@pytest.fixture
def all_large(monkeypatch) -> None:
    for module in (packing, base):
        monkeypatch.setattr(module, "SMALL", 0)


def test_small_matrices_stay_as_they_are(monkeypatch) -> None:
    """A call costs more than their product, and both forms would be kept."""
    monkeypatch.setattr(packing, "SMALL", 40 * 10)
    maps = nn.ModuleDict({"small": linear(40, 10), "large": linear(41, 10)})
    assert pack_linear_maps(maps, LINEAR_KERNELS["float16"]) == 0
    assert [type(each) for each in maps.values()] == [Linear, PackedLinear]


def rounded(model: Transformer, kernel) -> Transformer:
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, Linear):
            module.weight = nn.Parameter(kernel.rounded(module.weight), requires_grad=False)
    if isinstance(other.head, TokenHead):
        weight = kernel.rounded(other.head.projection(other.embedding.weight))
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
@pytest.mark.usefixtures("all_large")
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
def test_networks_are_those_of_rounded_weights(name, shape, fields) -> None:
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
@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("attention", list(ATTENTION))
@torch.inference_mode()
def test_every_kind_of_attention_decodes_in_kernels(name, attention) -> None:
    kernel = LINEAR_KERNELS[name]
    model = tiny_model("encoder-decoder", attention=attention, window=3).requires_grad_(False)
    plain, ids_BT = rounded(model, kernel), torch.randint(0, VOCABULARY, (2, 7))
    source = {"source_BS": ids_BT.flip(1)}
    wanted = written(plain, ids_BT, **source)
    for one, other in zip(written(packed(model, kernel), ids_BT, **source), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@every_kernel
@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_kept_once(name, tied) -> None:
    model = tiny_model("encoder-decoder", tie_output=tied).requires_grad_(False)
    model = packed(model, LINEAR_KERNELS[name])
    assert not any(isinstance(module, Linear) for module in model.modules())
    weights = model.state_dict().items()
    left = {name for name, each in weights if each.dim() == 2 and not each.is_meta}
    assert left == {"embedding.weight"}


@every_kernel
@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("fields", [{}, {"tie_output": False}, {"logit_softcap": 0.1}], ids=str)
@torch.inference_mode()
def test_the_loss_of_a_text_is_that_of_its_logits(monkeypatch, name, fields) -> None:
    monkeypatch.setitem(losses.CHUNK_LOGITS, "cpu", 3 * VOCABULARY)  # chunks of three tokens
    model = tiny_model("decoder", **fields).requires_grad_(False)
    model, ids_BT = packed(model, LINEAR_KERNELS[name]), torch.randint(0, VOCABULARY, (2, 7))
    inputs, targets_BT = model_inputs(ids_BT), ids_BT.roll(-1, dims=1)
    batch = Batch(inputs=inputs, targets=targets_BT, num_targets=14, rows=np.arange(2))
    smoothed, plain = batch_loss(model, batch, smoothing=0.0)
    wanted = F.cross_entropy(model(inputs).flatten(0, 1), targets_BT.flatten(), reduction="sum")
    torch.testing.assert_close(plain, wanted)
    torch.testing.assert_close(smoothed, wanted)


@pytest.mark.usefixtures("all_large")
def test_maps_beyond_float16_stay_in_float32_and_are_counted() -> None:
    model = tiny_model("decoder").requires_grad_(False)
    kernel, large = LINEAR_KERNELS["float16"], model.decoder.layers[0].feedforward.up
    large.weight[3, 2] = 100_000
    model.embedding.weight[1, 1] = -100_000  # the projection's, too
    assert not can_hold(kernel, large.weight)
    assert pack_model(model, kernel) == 2
    assert model.decoder.layers[0].feedforward.up is large
    assert isinstance(model.decoder.layers[0].feedforward.down, PackedLinear)
    assert model.head.packed is None


@pytest.mark.parametrize("failure", ["missing", "wrong"])
def test_kernels_are_tried_before_they_are_used(monkeypatch, failure) -> None:
    class Broken(Float16Kernel):
        def apply(self, x, packed):
            if failure == "missing":
                raise NotImplementedError("no such operator")
            return super().apply(x, packed) * 1.01

    monkeypatch.setitem(LINEAR_KERNELS, "broken", Broken())
    assert not is_usable("broken")
    is_usable.cache_clear()
