"""Networks whose modules call one another as functions."""

import copy
from itertools import product

import pytest
import torch

from tests.kernels.test_packing import written
from tests.models import SHAPES, VOCABULARY, model_inputs, tiny_model
from transformer.attention import ATTENTION
from transformer.feedforward import FEEDFORWARDS
from transformer.kernels import bind_calls
from transformer.norms import NORMS, QK_NORMS, RESIDUALS
from transformer.positions import POSITIONS

ONE_SIDED = {"longformer", "ssru"}  # not in decoders, not in encoders alone
VARIANTS = [
    *({"attention": name, "window": 3} for name in ATTENTION if name not in ONE_SIDED),
    *({"positions": name} for name in POSITIONS),
    *({"norm": name} for name in NORMS),
    *({"norm_placement": name} for name in RESIDUALS),
    *({"qk_norm": name} for name in QK_NORMS),
    *({"feedforward": name} for name in FEEDFORWARDS),
    {"dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.1},
    {"kv_heads": 2, "embedding_norm": True, "token_types": 2, "final_norm": False},
    {"tie_output": False, "output_bias": True},
]


def bound(model):
    other = copy.deepcopy(model)
    bind_calls(other)
    return other


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        *product(SHAPES, VARIANTS),
        ("encoder", {"attention": "longformer", "window": 3}),
        ("decoder", {"attention": "ssru"}),
        ("encoder-decoder", {"attention": "ssru"}),
        ("encoder", {"head": "masked"}),
        ("encoder", {"head": "classification", "labels": 3}),
    ],
    ids=str,
)
@torch.inference_mode()
def test_what_is_computed_is_the_same_to_the_bit(shape, fields) -> None:
    model, ids_BT = tiny_model(shape, **fields), torch.randint(0, VOCABULARY, (2, 7))
    other = bound(model)
    source = {"source_BS": ids_BT.flip(1)} if shape == "encoder-decoder" else {}
    inputs = model_inputs(ids_BT, **source)
    assert torch.equal(other(inputs), model(inputs))
    if shape != "encoder":
        pairs = zip(written(other, ids_BT, **source), written(model, ids_BT, **source), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def test_a_network_keeps_its_names_and_weights() -> None:
    model = tiny_model("encoder-decoder", dropout=0.1)
    other = bound(model)
    assert [*other.state_dict()] == [*model.state_dict()]
    pairs = zip(model.modules(), other.modules(), strict=True)
    assert all(isinstance(theirs, type(ours)) for ours, theirs in pairs)
    assert sum(p.numel() for p in other.parameters()) == sum(p.numel() for p in model.parameters())


def test_calls_are_forward_and_nothing_around_it(monkeypatch) -> None:
    """No module of the network goes through torch's own call, which looks for hooks."""

    def fail(*_args, **_kwargs):
        raise AssertionError("a module was called through its hooks")

    other = bound(tiny_model("encoder-decoder"))
    monkeypatch.setattr(torch.nn.Module, "__call__", fail)
    ids_BT = torch.randint(0, VOCABULARY, (2, 7))
    other(model_inputs(ids_BT, source_BS=ids_BT))
