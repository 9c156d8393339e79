"""Low-rank updates by their equation, the rows that they change, and merging."""

import math
from typing import Any

import pytest
import torch

from tests.models import model_inputs, tiny_model
from transformer.adapters.lora import (
    AdaptedLinear,
    LoraUpdate,
    LowRankUpdate,
    attach_lora,
    detach_lora,
    lora_updates,
    merge_updates,
)
from transformer.adapters.parts import LinearPart, linear_parts, select_parts
from transformer.adapters.settings import AdapterSettings
from transformer.errors import ConfigError
from transformer.families import FAMILIES
from transformer.model import Transformer
from transformer.uninitialized import Linear

NATIVE = FAMILIES["transduce"]


def settings(**changes: Any) -> AdapterSettings:
    return AdapterSettings(**{"kind": "lora", "rank": 2, "alpha": 6.0, **changes})


def adapted(model: Transformer, *, values: bool = True, **changes: Any) -> Transformer:
    """A model with updates, of random values or as they begin."""
    chosen = settings(**changes)
    parts = select_parts(linear_parts(model, NATIVE), chosen.target_modules, chosen.layers)
    attach_lora(model, parts, chosen, seed=5)
    with torch.no_grad():
        for update in model.modules():
            if isinstance(update, LoraUpdate) and values:
                update.lora_B.normal_(std=0.1)
    return model.eval()


def logits(model: Transformer) -> torch.Tensor:
    ids = torch.arange(3, 15).view(2, 6)
    source = ids + 4 if model.config.shape == "encoder-decoder" else None
    with torch.no_grad():
        return model(model_inputs(ids, source_BS=source))


def test_an_update_is_that_of_its_equation() -> None:
    """`y = Wx + 6/2 · B·A·x` in rows 1 and 2 of three; rsLoRA multiplies by 6/√2."""
    base = Linear(2, 3, bias=True)
    base.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    base.bias.data = torch.tensor([0.5, 0.0, 0.0])
    x = torch.tensor([[2.0, 3.0]])
    for rslora, scale in ((False, 3.0), (True, 6 / math.sqrt(2))):
        update = LoraUpdate(LinearPart("q", "m", 1, 3, 2), settings(rslora=rslora))
        update.lora_A.data = torch.tensor([[1.0, 0.0], [1.0, -1.0]])  # A·x = (2, -1)
        update.lora_B.data = torch.tensor([[1.0, 1.0], [0.0, 2.0]])  # B·A·x = (1, -2)
        y = AdaptedLinear(base, {"q": update})(x)
        torch.testing.assert_close(y, torch.tensor([[2.5, 3.0 + scale, 5.0 - 2 * scale]]))


@pytest.mark.parametrize("shape", ["encoder", "decoder", "encoder-decoder"])
def test_an_adapter_begins_as_its_base_and_merges_to_what_it_computes(shape: str) -> None:
    base = tiny_model(shape, feedforward="swiglu", kv_heads=2)
    wanted = logits(base)
    fresh = adapted(base, values=False)
    assert torch.equal(logits(fresh), wanted)
    for update in lora_updates(fresh):
        bound = 1 / math.sqrt(update.part.inputs)  # kaiming's uniform with a = √5
        assert 0.7 * bound < update.a.abs().max() <= bound
        assert not update.b.any()
    detach_lora(fresh)
    model = adapted(base)
    changed = logits(model)
    assert (changed - wanted).abs().max() > 1e-2
    stored = {name: w.clone() for name, w in model.state_dict().items()}
    merge_updates(model, detach_lora(model))
    torch.testing.assert_close(logits(model), changed, atol=1e-5, rtol=0)
    assert not any(isinstance(module, AdaptedLinear | LoraUpdate) for module in model.modules())
    assert model.state_dict().keys() == {n for n in stored if ".updates." not in n}
    assert lora_updates(model) == []


def test_an_adapter_changes_the_rows_of_its_part_alone() -> None:
    """Queries, then two groups of keys, then of values: rows 0-15, 16-23 and 24-31 of a width 4."""
    base = tiny_model("decoder", kv_heads=2)
    before = base.state_dict()["decoder.layers.0.attention.qkv.weight"].clone()
    rows = {"q": (0, 16), "k": (16, 24), "v": (24, 32)}
    for letter, (start, stop) in rows.items():
        model = tiny_model("decoder", kv_heads=2)
        model.load_state_dict(base.state_dict())
        adapted(model, target_modules=[letter], layers=[0])
        merge_updates(model, detach_lora(model))
        after = model.state_dict()
        changed = (after["decoder.layers.0.attention.qkv.weight"] != before).any(dim=1)
        assert changed.nonzero().flatten().tolist() == list(range(start, stop))
        for name, weight in base.state_dict().items():
            if name != "decoder.layers.0.attention.qkv.weight":
                assert torch.equal(after[name], weight)


@pytest.mark.parametrize(("part", "start"), [("gate", 0), ("value", 16)])
def test_a_recurrence_is_adapted_by_its_gate_or_its_value(part: str, start: int) -> None:
    base = tiny_model("decoder", attention="ssru")
    model = tiny_model("decoder", attention="ssru")
    model.load_state_dict(base.state_dict())
    adapted(model, target_modules=[part])
    changed = logits(model)
    merge_updates(model, detach_lora(model))
    torch.testing.assert_close(logits(model), changed, atol=1e-5, rtol=0)
    name = "decoder.layers.1.attention.gate_value.weight"
    rows = (model.state_dict()[name] != base.state_dict()[name]).any(dim=1).nonzero().flatten()
    assert rows.tolist() == list(range(start, start + 16))


def test_only_the_updates_are_trained_and_dropout_is_of_training() -> None:
    model = adapted(tiny_model("decoder"), dropout=0.5, target_modules=["q", "down"])
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {n for n in dict(model.named_parameters()) if ".updates." in n}
    assert len(trained) == 2 * 2 * 2  # A and B, of two maps in two layers
    assert torch.equal(logits(model), logits(model))
    model.train()
    assert not torch.equal(logits(model), logits(model))


def test_the_same_seed_draws_the_same_values() -> None:
    one, two = (lora_updates(adapted(tiny_model(), values=False)) for _ in range(2))
    assert all(torch.equal(a.a, b.a) for a, b in zip(one, two, strict=True))
    assert len({float(update.a[0, 0]) for update in one}) == len(one)


def test_dora_sets_the_length_of_each_output() -> None:
    """arXiv 2402.09353: rows of `W + scale·B·A`, here (4, 3), scaled to the length 10."""
    part = LinearPart("q", "m", 0, 1, 2)
    update = LowRankUpdate(
        part, torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0]]), 3.0, torch.tensor([10.0])
    )
    assert update.apply(torch.tensor([[1.0, 3.0]])).tolist() == [[8.0, 6.0]]


NAMES = {
    "attention": ["q", "k", "v", "out"],
    "cross": ["q", "k", "v", "out"],
    "feedforward": ["gate", "up", "down"],
}


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        ("all-linear", {f"{m}.{n}" for m, names in NAMES.items() for n in names}),
        (["all-linear"], {f"{m}.{n}" for m, names in NAMES.items() for n in names}),
        (["qkv"], {"attention.q", "attention.k", "attention.v"}),  # our module, in all its parts
        (["q", "cross.v"], {"attention.q", "cross.q", "cross.v"}),
        ([r"feedforward.up"], {"feedforward.gate", "feedforward.up"}),
        (r".*\.(gate|out)", {"feedforward.gate", "attention.out", "cross.out"}),
        (["decoder.layers.1.cross.kv"], {"cross.k", "cross.v"}),
    ],
    ids=lambda value: None if isinstance(value, set) else str(value),
)
def test_targets_are_ends_of_names_or_patterns(targets: Any, named: set[str]) -> None:
    parts = linear_parts(tiny_model("encoder-decoder", feedforward="swiglu"), NATIVE)
    chosen = select_parts(parts, targets)
    assert {".".join(part.name.split(".")[-2:]) for part in chosen} == named
    if targets == ["decoder.layers.1.cross.kv"]:
        assert len(chosen) == 2
    assert {part.module.split(".")[2] for part in select_parts(parts, "all-linear", [1])} == {"1"}


@pytest.mark.parametrize(
    ("targets", "layers", "told"),
    [
        (["q_prj"], [], r"has 'q_prj', which is no linear map of this model; did you mean q_proj"),
        (["embed_tokens"], [], "it has down_proj, gate_proj, k_proj, o_proj"),
        ("q_proj", [], r"a regular expression for whole names, .* it goes into a list"),
        ("(", [], "no regular expression"),
        (["q_proj"], [2], "adapter.layers has 2; the layers are 0 to 1"),
        ([], [], "names nothing to adapt"),
    ],
)
def test_targets_that_name_nothing_are_told(targets: Any, layers: list[int], told: str) -> None:
    model = tiny_model("decoder", feedforward="swiglu", bias=False, norm="rmsnorm")
    parts = linear_parts(model, FAMILIES["llama"])
    with pytest.raises(ConfigError, match=told.replace("it goes into", "a name goes into")):
        select_parts(parts, targets, layers)
