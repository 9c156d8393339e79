"""The simpler simple recurrent unit: its equations, the scan that computes them, and its state."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models import VOCABULARY, model_inputs, tiny_config, tiny_model
from transformer.attention import ATTENTION, Scope, SimpleRecurrentUnit, Tokens
from transformer.attention import scan as scans
from transformer.cache import CacheSize
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.initialization import initialize
from transformer.layer_spec import LayerSpec
from transformer.masks import padded_positions
from transformer.model import Transformer
from transformer.positions import Positions

WIDTH, KIND = 3, ATTENTION["ssru"]
SIZES = {"its own": scans.chunk_size, "chunks of 4": lambda length: 4}


@pytest.fixture(params=[*SIZES, "compiled"])
def _computed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways to compute the recurrence: in chunks, or as a compiler takes it."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: request.param == "compiled")
    monkeypatch.setattr(scans, "chunk_size", SIZES.get(request.param, scans.chunk_size))


def equation(x_BTD: Tensor, unit: SimpleRecurrentUnit, starts: tuple[int, ...] = ()) -> Tensor:
    """`f = σ(Wx + b)`, `c ← f·c + (1-f)·Vx`, ReLU(c), token by token; starts forget c."""
    (w, v), (of_w, of_v) = (each.double().chunk(2) for each in unit.parameters())
    state, states = torch.zeros_like(x_BTD[:, 0]), []
    for t, x_BD in enumerate(x_BTD.unbind(1)):
        if t in starts:
            state = torch.zeros_like(state)
        gate = 1 / (1 + (-(x_BD @ w.T + of_w)).exp())
        state = gate * state + (1 - gate) * (x_BD @ v.T + of_v)
        states.append(state.relu())
    return torch.stack(states, dim=1)


def unit_config(width: int = WIDTH) -> TransformerConfig:
    return tiny_config(d_model=width, heads=1, attention="ssru", positions="none")


def unit_of(width: int = WIDTH) -> SimpleRecurrentUnit:
    unit = SimpleRecurrentUnit(unit_config(width))
    for weight in unit.parameters():
        weight.data.normal_()
    return unit


def mixed(unit: SimpleRecurrentUnit, x_BTD: Tensor, **tokens: Tensor) -> Tensor:
    found: Tensor = unit(x_BTD, mixing_of(x_BTD, **tokens))
    return found


def mixing_of(x_BTD: Tensor, **tokens: Tensor) -> Any:
    config = unit_config()
    scope = Scope(config, Positions(config, causal=True), causal=True)
    return KIND.mixing(scope, Tokens.of(x_BTD, **{"positions_BT": None, **tokens}), None, None)


def test_three_tokens_by_hand() -> None:
    """One feature x, W = V = 1, b = 0: gates of 0.5, 0.75 and 0.25 for 0, ln 3 and -ln 3."""
    unit = unit_of(1)
    unit.gate_value.weight.data.fill_(1.0)
    unit.gate_value.bias.data.zero_()
    ln3 = 1.0986123
    found = mixed(unit, torch.tensor([[[0.0], [ln3], [-ln3]]]))
    # 0, then 0.25 · ln 3, then 0.25 · 0.25 · ln 3 - 0.75 · ln 3, which ReLU makes 0
    assert found.flatten().tolist() == pytest.approx([0.0, 0.25 * ln3, 0.0])
    found = mixed(unit, torch.tensor([[[ln3], [ln3], [0.0]]]))
    # 0.25 · ln 3, then 0.75 · 0.25 · ln 3 + 0.25 · ln 3, of which half is left
    assert found.flatten().tolist() == pytest.approx([0.25 * ln3, 0.4375 * ln3, 0.21875 * ln3])


@pytest.mark.usefixtures("_computed")
@pytest.mark.parametrize("length", [1, 2, 4, 5, 8, 9, 32, 33, 37])
def test_values_and_gradients_are_those_of_the_equation(length: int) -> None:
    unit, x_BTD = unit_of(), torch.randn(2, length, WIDTH, requires_grad=True)
    found, wanted = mixed(unit, x_BTD), equation(x_BTD.double(), unit)
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-5)
    factors, sides = torch.randn_like(found), (x_BTD, *unit.parameters())
    ours = torch.autograd.grad((found * factors).sum(), sides)
    theirs = torch.autograd.grad((wanted * factors).sum(), sides)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)


@pytest.mark.usefixtures("_computed")
@pytest.mark.parametrize("length", [1, 7, 20, 40])
def test_the_scan_has_the_gradients_of_differences(length: int) -> None:
    decay, added = (torch.rand(2, length, 2).double().requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(scans.scan, (decay, added))


@pytest.mark.usefixtures("_computed")
@pytest.mark.parametrize("gate", [-200.0, 200.0])
def test_gates_that_are_shut_or_open_for_long_stay_finite(gate: float) -> None:
    """Products of shut gates underflow after a token, those of open ones are 1."""
    unit, x_BTD = unit_of(), torch.randn(1, 200, WIDTH, requires_grad=True)
    unit.gate_value.weight.data[:WIDTH] = 0.0
    unit.gate_value.bias.data[:WIDTH] = gate
    found = mixed(unit, x_BTD)
    wanted = equation(x_BTD.double(), unit)
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-5)
    (slope,) = torch.autograd.grad(found.sum(), x_BTD)
    assert slope.isfinite().all()


@pytest.mark.usefixtures("_computed")
def test_documents_in_one_row_are_as_each_alone() -> None:
    unit, x_BTD = unit_of(), torch.randn(1, 9, WIDTH)
    segments_BT = torch.tensor([[0] * 4 + [1] * 3 + [-1] * 2])
    positions_BT = torch.tensor([[0, 1, 2, 3, 0, 1, 2, -1, -1]])
    together = mixed(unit, x_BTD, segments_BT=segments_BT, positions_BT=positions_BT)
    wanted = equation(x_BTD[:, :7].double(), unit, starts=(4,))
    torch.testing.assert_close(together[:, :7].double(), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("sizes", [[9], [1] * 9, [4, 1, 4], [3, 6], [8, 1]])
@torch.no_grad()
def test_any_split_of_a_text_leaves_the_same_state(sizes: list[int]) -> None:
    model = tiny_model(attention="ssru")
    ids_BT = torch.randint(0, VOCABULARY, (2, 9))
    whole, cache = model.hidden(model_inputs(ids_BT)), model.new_cache(2, 9)
    parts, start = [], 0
    for size in sizes:
        positions_BT = torch.arange(start, start + size).expand(2, -1)
        parts.append(model.decode(ids_BT[:, start : start + size], positions_BT, cache))
        start += size
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_padding_takes_no_time() -> None:
    """A row that is padded in a prompt, and in a step, goes on as one that is not."""
    model = tiny_model(attention="ssru")
    ids_BT = torch.randint(0, VOCABULARY, (2, 7))
    padded, alone = model.new_cache(2, 9), model.new_cache(1, 9)
    model.decode(ids_BT, padded_positions(torch.tensor([7, 3]), 7), padded)
    model.decode(ids_BT[:, :1], torch.tensor([[7], [-1]]), padded)
    model.decode(ids_BT[1:, :3], torch.arange(3)[None], alone)
    mine, theirs = (cache.self_attention.parts[0].states for cache in (padded, alone))
    for (found,), (wanted,) in zip(mine, theirs, strict=True):
        torch.testing.assert_close(found[1:], wanted)


@torch.no_grad()
def test_rows_come_repeat_and_go_with_their_states() -> None:
    config = tiny_config(attention="ssru")
    one, other = (
        KIND.new_cache(config, CacheSize(2, rows, 9, torch.device("cpu"), torch.half))
        for rows in (2, 1)
    )
    for number, cache in enumerate((one, other)):
        cache.states = [
            (state + 10 * layer + number + torch.arange(len(state))[:, None],)
            for layer, (state,) in enumerate(cache.states)
        ]
    one.reorder([1, 1, 0])
    one.append_rows(other)
    rows = [state[:, 0].tolist() for (state,) in one.states]
    assert rows == [[1, 1, 0, 1], [11, 11, 10, 11]]
    assert one.states[0][0].dtype == torch.float32  # whatever the weights are


@torch.inference_mode()
def test_ten_thousand_tokens_leave_a_state_of_the_same_size_and_drift_nowhere() -> None:
    model = tiny_model(attention="ssru", positions="none", max_positions=10_000)
    ids_1T = torch.randint(0, VOCABULARY, (1, 10_000))
    cache, sizes = model.new_cache(1, 10_000), set()
    for step in range(10_000):
        state_BTD = model.decode(
            ids_1T[:, step : step + 1], torch.tensor([[step]]), cache, step + 1
        )
        if step % 1000 == 999:
            stored = io.BytesIO()
            torch.save(cache.self_attention.parts, stored)
            sizes.add(len(stored.getvalue()))
    assert len(sizes) == 1
    numbers = sum(s.numel() for (s,) in cache.self_attention.parts[0].states)
    assert numbers == model.config.decoder_layers * model.config.d_model
    whole_D = model.hidden(model_inputs(ids_1T))[0, -1]
    torch.testing.assert_close(state_BTD[0, -1], whole_D, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_whole_numbers(dtype: torch.dtype) -> None:
    """Gates near 1 are 1 in half precision, so that a state would never change."""
    unit, x_BTD = unit_of(), torch.randn(1, 5000, WIDTH)
    unit.gate_value.bias.data.copy_(torch.tensor([8.0, 1.0]).repeat_interleave(WIDTH))
    gate_value = unit.gate_value(x_BTD).to(dtype)
    mixing = mixing_of(x_BTD)
    exact = mixing(gate_value.float(), layer=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mixing(gate_value, layer=0)
    assert found.dtype == dtype and exact.amax() > 0.1
    torch.testing.assert_close(found.float(), exact, atol=1e-2, rtol=1e-2)


def test_what_it_keeps_for_the_backward_pass_is_counted() -> None:
    """Gates, what is left of them, outputs of the map, states and what becomes of them."""
    unit, x_BTD = unit_of(), torch.randn(2, 30, WIDTH)
    others = {each.untyped_storage().data_ptr() for each in (x_BTD, *unit.parameters())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = mixed(unit, x_BTD)
    size = sum(size for place, size in kept.items() if place not in others)
    count = KIND.count_kept(unit_config(), causal=True)
    assert size == 4 * count * len(output.flatten(0, 1))


def test_an_encoder_beside_it_has_full_attention() -> None:
    fields = {"encoder_layers": 1, "decoder_layers": 1}
    model = tiny_model("encoder-decoder", attention="ssru", **fields)
    full = tiny_model("encoder-decoder", **fields)
    assert isinstance(model.decoder.layers[0].attention, SimpleRecurrentUnit)
    full.encoder.load_state_dict(model.encoder.state_dict())
    x_BTD, positions_BT = torch.randn(2, 5, 16), padded_positions(torch.tensor([5, 3]), 5)
    found, wanted = (m.encoder(x_BTD, positions_BT=positions_BT) for m in (model, full))
    assert torch.equal(found, wanted)
    assert KIND.count_kept(model.config, causal=False) == ATTENTION["full"].count_kept(
        full.config, causal=False
    )


@pytest.mark.parametrize(("bias", "attention_bias"), [(True, None), (False, None), (False, True)])
def test_its_one_map_has_biases_as_attention_has(bias: bool, attention_bias: bool | None) -> None:
    config = tiny_config(attention="ssru", bias=bias, attention_bias=attention_bias)
    has_bias = bias if attention_bias is None else attention_bias
    (map_,) = KIND.build(config, 0, causal=True).children()
    assert (map_.in_features, map_.out_features) == (16, 32)
    assert (map_.bias is not None) is has_bias
    assert KIND.count_parameters(config, causal=True) == 2 * 16 * 16 + 32 * has_bias


@pytest.mark.parametrize(
    ("shape", "fields", "words"),
    [
        ("encoder", {"attention": "ssru"}, "for decoders; in an encoder use full attention"),
        ("encoder", {"layers": (LayerSpec(), LayerSpec(attention="ssru"))}, "for decoders"),
        ("decoder", {"attention": "ssru", "positions": "relative"}, "positions are relative"),
        ("encoder-decoder", {"attention": "ssru", "positions": "relative"}, "use another kind"),
    ],
)
def test_networks_that_cannot_be_are_refused(shape: str, fields: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Transformer(tiny_config(shape, **fields))


def test_a_state_takes_no_token_back() -> None:
    with pytest.raises(ConfigError, match="the cache of ssru attention cannot take tokens back"):
        tiny_model(attention="ssru").new_cache(1, 4).self_attention.truncate(2)


@pytest.mark.parametrize("scheme", ["xavier", "t5"])
def test_gate_and_value_are_each_drawn_as_a_map_of_its_own(scheme: str) -> None:
    """Xavier's range of a map of twice the rows would be narrower."""
    model = Transformer(tiny_config(attention="ssru", d_model=64, heads=1, initialization=scheme))
    initialize(model, seed=1)
    for half in model.decoder.layers[0].attention.gate_value.weight.chunk(2):
        assert half.std().item() == pytest.approx(64**-0.5, rel=0.05)
