"""Norms, residuals, feed-forwards, heads and first values, by their equations."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models import model_inputs, tiny_config
from transformer.config import TransformerConfig
from transformer.dropout import Dropout
from transformer.errors import ConfigError
from transformer.feedforward import FEEDFORWARDS, FeedForward
from transformer.heads import HEADS
from transformer.initialization import initialize
from transformer.model import Transformer
from transformer.norms import NORMS, RESIDUALS, make_norm, make_residual

ROW = torch.arange(16.0)[None, None] / 4  # (B, T, D) of one token


@pytest.mark.parametrize("name", NORMS)
def test_norms_by_their_equations(name: str) -> None:
    """`(x - μ) / √(σ² + ε)`, and without the mean for the RMS norm; ε is large enough to see."""
    norm = make_norm(tiny_config(norm=name, norm_eps=0.5))
    centred = ROW - (ROW.mean() if name == "layernorm" else 0.0)
    wanted = centred / (centred.square().mean() + 0.5).sqrt()
    torch.testing.assert_close(norm(ROW), wanted)
    norm.weight.data = torch.linspace(-1, 1, 16)
    factors = norm.weight + (1 if name == "rmsnorm-zero-centered" else 0)
    torch.testing.assert_close(norm(ROW), wanted * factors)


def test_a_zero_centred_norm_has_small_weights_in_half_precision() -> None:
    """In bfloat16 1 + 0.003 is 1."""
    norm = make_norm(tiny_config(norm="rmsnorm-zero-centered"))
    norm.weight.data = torch.full((16,), 0.003)
    exact = norm(ROW)
    norm.weight.data = norm.weight.data.bfloat16()
    found = norm(ROW.bfloat16())
    assert found.dtype == torch.bfloat16
    rounded = (exact / 1.003).bfloat16().float()
    assert (found.float() - exact).abs().mean() < 0.8 * (rounded - exact).abs().mean()


class Halving(nn.Module):
    """In place of dropout: half of everything, so that it shows where it is applied."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


@pytest.mark.parametrize("name", RESIDUALS)
def test_residuals_by_their_equations(name: str) -> None:
    residual = make_residual(tiny_config(norm_placement=name))
    residual.dropout = Halving()
    for weight in residual.parameters():
        nn.init.normal_(weight)
    norm = residual.norm
    found = residual(ROW, lambda x: 6 * x)
    other = getattr(residual, "output_norm", None)
    wanted = {
        "post": lambda: norm(ROW + 3 * ROW),
        "pre": lambda: ROW + 3 * norm(ROW),
        "sandwich": lambda: ROW + other(6 * norm(ROW)) / 2,
        "reordered": lambda: ROW + norm(6 * ROW) / 2,
    }
    torch.testing.assert_close(found, wanted[name]())


# act(x), of numbers of each kind in the table that gates nothing.
ACTIVATIONS = {
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "gelu-tanh": lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "gelu-sigmoid": lambda x: x / (1 + math.exp(-1.702 * x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
}
GATES = {"reglu": "relu", "geglu": "gelu", "geglu-tanh": "gelu-tanh", "swiglu": "silu"}


@pytest.mark.parametrize("name", FEEDFORWARDS)
def test_every_feed_forward_by_its_equation(name: str) -> None:
    """`W₂ act(x)` with W₁ of ones; where gated, `W₂ (act(x) ⊙ 3x)`, the gate before the other."""
    network = FeedForward(tiny_config(d_model=1, heads=1, d_ff=1, feedforward=name, bias=False))
    network.up.weight.data = torch.tensor([[1.0], [3.0]])[: network.up.out_features]
    network.down.weight.data = torch.tensor([[2.0]])
    act, gated = ACTIVATIONS[GATES.get(name, name)], name in GATES
    values = [-2.5, -0.5, 0.0, 0.7, 3.0]
    found = network(torch.tensor(values).view(1, -1, 1)).flatten().tolist()
    wanted = [2 * act(x) * (3 * x if gated else 1) for x in values]
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_a_feed_forward_drops_what_it_activated() -> None:
    network = FeedForward(tiny_config(d_model=1, heads=1, d_ff=4000, activation_dropout=0.25))
    for weight in network.parameters():
        weight.data.fill_(1.0)
    network.down.bias.data.zero_()
    share = network(torch.zeros(1, 1, 1)).item() / 4000  # each is 1, or 4/3 and a quarter are 0
    assert share == pytest.approx(1.0, abs=0.05)
    assert share != 1.0


def test_every_dropout_is_used_at_its_rate() -> None:
    config = tiny_config("encoder-decoder", dropout=0.25, activation_dropout=0.5)
    model = Transformer(config)
    initialize(model, seed=1)
    used: list[nn.Module] = []
    every = {name: m for name, m in model.named_modules() if isinstance(m, Dropout)}
    for module in every.values():
        module.register_forward_hook(lambda module, *_: used.append(module))
    model(model_inputs(torch.tensor([[4, 5]]), source_BS=torch.tensor([[6, 7]])))
    for name, module in every.items():
        assert module in used, name
        assert module.p == (0.5 if "feedforward." in name else 0.25), name
    assert used.count(model.dropout) == 2  # both embeddings


def filled(module: nn.Module) -> nn.Module:
    for weight in module.parameters():
        nn.init.normal_(weight)
    return module


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ["linear", "masked", "none"])
def test_heads_by_their_equations(name: str, tied: bool) -> None:
    if name == "none":
        head = HEADS[name](tiny_config(head=name))
        assert head(ROW, torch.ones(23, 16)) is ROW
        return
    config = tiny_config(
        head=name, output_scale=0.25, output_bias=True, tie_output=tied, logit_softcap=2.0
    )
    head, embedding_VD = filled(HEADS[name](config)), torch.randn(23, 16)
    features = ROW
    if name == "masked":
        features = head.norm(F.relu(ROW @ head.dense.weight.T + head.dense.bias))
    matrix = embedding_VD if tied else head.weight
    assert (matrix is embedding_VD) is tied
    logits = 0.25 * features @ matrix.T + head.bias
    assert logits.abs().max() > 2  # the cap matters
    wanted = 2.0 * torch.tanh(logits / 2.0)
    torch.testing.assert_close(head(ROW, embedding_VD), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", [{"tie_output": False}, {"output_bias": True}])
def test_no_head_has_no_weights(changes: dict[str, bool]) -> None:
    with pytest.raises(ConfigError, match='head "none" has no weights'):
        HEADS["none"](tiny_config(head="none", **changes))


WIDE = {"d_model": 96, "d_ff": 160, "heads": 6, "kv_heads": 2, "d_head": 24, "vocab_size": 400}


def first_values(scheme: str, **changes: object) -> tuple[Transformer, TransformerConfig]:
    """A network of many different sizes, so that each shows in a deviation."""
    fields = {**WIDE, "feedforward": "swiglu", "positions": "relative", **changes}
    config = tiny_config("encoder-decoder", initialization=scheme, tie_output=False, **fields)
    model = Transformer(config)
    initialize(model, seed=3)
    return model, config


def parts_of(model: Transformer) -> dict[str, Tensor]:
    """The maps of the decoder's first layer, cut apart."""
    layer = model.decoder.layers[0]
    q, k, v = layer.attention.qkv.weight.split([144, 48, 48])
    gate, up = layer.feedforward.up.weight.split([160, 160])
    cross_k, cross_v = layer.cross.kv.weight.split([48, 48])
    return {
        "q": q, "k": k, "v": v, "gate": gate, "up": up, "cross.k": cross_k, "cross.v": cross_v,
        "cross.q": layer.cross.q.weight, "out": layer.attention.out.weight,
        "cross.out": layer.cross.out.weight, "down": layer.feedforward.down.weight,
        "embedding": model.embedding.weight, "head": model.head.weight,
    }  # fmt: skip


def wanted_deviation(scheme: str, name: str, weight: Tensor) -> float:
    rows, columns = weight.shape
    table = name in {"embedding", "head"}
    if scheme == "xavier":  # uniform within √(6 / (rows + columns))
        return 96**-0.5 if table else math.sqrt(2 / (rows + columns))
    if scheme == "normal":
        return 0.5
    if scheme == "gpt2":  # 2 + 2 layers of two residuals each
        return 0.5 / math.sqrt(8) if name.endswith(("out", "down")) else 0.5
    return 1.0 if table else (columns * (24 if name.endswith("q") else 1)) ** -0.5


@pytest.mark.parametrize("scheme", ["xavier", "normal", "gpt2", "t5"])
def test_first_values_have_the_deviation_that_is_theirs(scheme: str) -> None:
    model, _ = first_values(scheme, initialization_std=0.5)
    for name, weight in parts_of(model).items():
        wanted = wanted_deviation(scheme, name, weight)
        assert weight.std().item() == pytest.approx(wanted, rel=0.06), name
        assert abs(weight.mean().item()) < 0.06 * wanted, name


def test_glorots_values_are_uniform() -> None:
    """None beyond the bound, of which √3 deviations are the distance."""
    model, _ = first_values("xavier")
    for name, weight in parts_of(model).items():
        if name not in {"embedding", "head"}:
            assert weight.abs().max().item() < 1.001 * math.sqrt(6 / sum(weight.shape)), name


def test_t5_begins_its_position_biases_smaller_than_its_embeddings() -> None:
    model, _ = first_values("t5", relative_buckets=2000, relative_max_distance=2000)
    found = model.decoder.positions.embedding.weight.std().item()
    assert found == pytest.approx(96**-0.5, rel=0.06)
