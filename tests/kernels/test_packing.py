"""Networks whose matrices are laid out for kernels."""

import copy
import itertools
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models import SHAPES, VOCABULARY, model_inputs, tiny_model
from transformer import losses
from transformer.attention import ATTENTION
from transformer.batch_loss import batch_loss
from transformer.heads import TokenHead
from transformer.inputs import Batch
from transformer.kernels import (
    LINEAR_KERNELS,
    CompactEmbedding,
    PackedLinear,
    can_hold,
    pack_model,
    packing,
    projection,
    rounds_inputs,
)
from transformer.kernels.projection import RescoredProjection
from transformer.model import Transformer
from transformer.uninitialized import Linear

every_kernel = pytest.mark.parametrize("name", list(LINEAR_KERNELS))


@pytest.fixture
def all_large(monkeypatch) -> None:
    monkeypatch.setattr(packing, "SMALL", 0)


def test_small_matrices_stay_as_they_are(monkeypatch) -> None:
    """A call costs more than their product, and both forms would be kept."""
    model = tiny_model("decoder", vocab_size=20)
    monkeypatch.setattr(packing, "SMALL", 16 * 24)
    assert pack_model(model, LINEAR_KERNELS["float16"]) == 0
    layer = model.decoder.layers[0]
    assert type(layer.attention.qkv) is PackedLinear
    assert type(layer.feedforward.up) is Linear
    assert model.head.packed is None
    assert type(model.embedding) is not CompactEmbedding


def test_small_matrices_beside_rounded_inputs_have_a_kernel_too() -> None:
    """F.linear's last bits depend on the number of rows."""
    model = tiny_model("decoder").requires_grad_(False)
    assert pack_model(model, LINEAR_KERNELS["int8"]) == 0
    maps = [module for module in model.modules() if isinstance(module, PackedLinear)]
    assert len(maps) == 4 * 2 + 1
    assert {each.kernel.error for each in maps} == {LINEAR_KERNELS["float16"].error}
    assert not any(isinstance(module, Linear) for module in model.modules())
    assert not rounds_inputs(model)


@pytest.mark.usefixtures("all_large")
def test_a_projection_beyond_float16_is_not_computed_again() -> None:
    model = tiny_model("decoder", tie_output=False).requires_grad_(False)
    model.head.weight[3, 2] = 100_000
    assert pack_model(model, LINEAR_KERNELS["int8"]) == 0
    ids_BT = torch.randint(0, VOCABULARY, (2, 7))
    assert model(model_inputs(ids_BT)).isfinite().all()
    assert rounds_inputs(model)


def rounded(model: Transformer, kernel) -> Transformer:
    """The same network with the numbers that a kernel computes with."""
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, Linear):
            module.weight = nn.Parameter(kernel.rounded(module.weight), requires_grad=False)
    if isinstance(other.head, TokenHead):
        weight = kernel.rounded(other.head.projection(other.embedding.weight))
        other.head.projection = lambda embedding_VD: weight
    for table in (other.embedding, other.source_embedding):
        if table is not None and kernel.table is not None:
            table.weight.data = table.weight.to(kernel.table).to(table.weight.dtype)
    return other


def packed(model: Transformer, kernel) -> Transformer:
    pack_model(model, kernel)
    return model


def assert_near(found: Tensor, wanted: Tensor, kernel) -> None:
    """A few maps' errors apart."""
    assert found.shape == wanted.shape
    assert (found - wanted).norm() <= 3 * kernel.error * wanted.norm()


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
        ("encoder-decoder", {"share_embeddings": False, "source_vocab_size": VOCABULARY}),
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
    assert_near(model(model_inputs(ids_BT, **source)), wanted, kernel)
    if shape != "encoder":
        for one, other in zip(
            written(model, ids_BT, **source), written(plain, ids_BT, **source), strict=True
        ):
            assert_near(one, other, kernel)


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
        assert_near(one, other, kernel)


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
    assert model.embedding.weight.dtype == (LINEAR_KERNELS[name].table or torch.float32)
    assert model.dtype == torch.float32
    if tied and isinstance(model.head.packed, RescoredProjection):
        assert model.head.packed.half_OI.data_ptr() == model.embedding.weight.data_ptr()


def test_nothing_is_a_view_of_a_file_any_more() -> None:
    model = tiny_model("decoder").requires_grad_(False)
    before = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    values = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pack_model(model, LINEAR_KERNELS["float16"])
    for name, tensor in model.state_dict().items():
        assert tensor.data_ptr() != before[name]
        assert torch.equal(tensor, values[name])


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
    assert model.embedding.weight.dtype == torch.float32


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_the_largest_outputs_are_those_of_float16(monkeypatch, bias) -> None:
    """In integers one output in a hundred is off by more than the first two differ."""
    monkeypatch.setattr(projection, "_RESCORED", 5)
    kernel, weight_VD = LINEAR_KERNELS["int8"], torch.randn(300, 40)
    bias_V = torch.randn(300) if bias else None
    rescored = projection.pack_projection(weight_VD, bias_V, kernel, None)
    x_BTD = torch.randn(6, 2, 40)
    found, exact = rescored(x_BTD), F.linear(x_BTD, weight_VD.half().float(), bias_V)
    integers = rescored.packed(x_BTD)
    assert_near(integers, exact, kernel)
    best = integers.topk(5).indices
    torch.testing.assert_close(found.gather(-1, best), exact.gather(-1, best))
    left = found.scatter(-1, best, 0.0), integers.scatter(-1, best, 0.0)
    assert torch.equal(*left)
    assert not torch.equal(found, integers)


@every_kernel
@pytest.mark.usefixtures("all_large")
def test_two_matrices_are_laid_out_at_a_time_where_one_thread_would_do_all(
    monkeypatch, name
) -> None:
    """A network is the same then; no thread has another number of torch's threads."""
    model, inputs = tiny_model("decoder").requires_grad_(False), model_inputs(torch.arange(6)[None])
    alone, numbers, together = copy.deepcopy(model), itertools.count(), threading.Barrier(2)
    pack_model(alone, LINEAR_KERNELS[name])
    real, packs_in_threads = packing._pack, LINEAR_KERNELS[name].packs_in_threads
    seen, threads = set(), torch.get_num_threads()

    def beside_another(matrix):
        if next(numbers) < 2 and not packs_in_threads:
            together.wait(timeout=30)
        seen.add((threading.current_thread() is threading.main_thread(), torch.get_num_threads()))
        return real(matrix)

    monkeypatch.setattr(packing, "_pack", beside_another)
    pack_model(model, LINEAR_KERNELS[name])
    assert seen == {(packs_in_threads, threads)}
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == threads
    assert torch.equal(model(inputs), alone(inputs))


@every_kernel
@pytest.mark.usefixtures("all_large")
def test_no_matrix_is_kept_until_the_last_is_laid_out(monkeypatch, name) -> None:
    """Two are in hand at most."""
    model, pack, replace = (
        tiny_model("decoder").requires_grad_(False),
        packing._pack,
        packing._replace_child,
    )
    weights = [weakref.ref(each.weight) for each in model.modules() if isinstance(each, Linear)]
    begun, in_hand, alive = [], [], []

    def packed(matrix):
        begun.append(matrix)
        return pack(matrix)

    def replaced(*arguments) -> None:
        replace(*arguments)
        in_hand.append(len(begun) - len(in_hand) - 1)  # but for the projection, which is first
        alive.append(sum(weight() is not None for weight in weights))
        time.sleep(0.02)  # in which others could begin

    monkeypatch.setattr(packing, "_pack", packed)
    monkeypatch.setattr(packing, "_replace_child", replaced)
    pack_model(model, LINEAR_KERNELS[name])
    assert max(in_hand) <= 2
    assert alive[-1] <= 2


@pytest.mark.parametrize("attention", ["full", "linear"])
def test_tables_alone_are_no_large_matrices(monkeypatch, attention) -> None:
    monkeypatch.setattr(packing, "SMALL", 16 * 24)
    tables = tiny_model("decoder", max_positions=64, vocab_size=24, attention=attention, d_ff=16)
    large = [name for name, each in tables.named_parameters() if each.numel() > 16 * 24]
    maps = [name for name in large if "positions" not in name]
    assert packing.has_large_matrices(tables) == bool(maps)


@pytest.mark.parametrize("name", ["float16", "int8"])
def test_numbers_beyond_a_type_are_found_at_both_ends(name) -> None:
    kernel = LINEAR_KERNELS[name]
    for value in (kernel.largest, -kernel.largest):
        assert can_hold(kernel, torch.tensor([[0.0, value]]))
    for value in (torch.inf, -torch.inf, torch.nan):
        assert not can_hold(kernel, torch.tensor([[0.0, value]]))
