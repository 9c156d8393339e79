"""What a recipe asks of a network to no effect, told in a line."""

from pathlib import Path

import pytest
import torch

from tests.training.toys import write_text
from transformer.attention import ATTENTION
from transformer.positions import POSITIONS
from transformer.presets import preset_config
from transformer.training.events import Notice
from transformer.training.network_notices import network_notices
from transformer.training.planning import planner as planners
from transformer.training.planning.plan import make_plan
from transformer.training.planning.planner import plan_recipe
from transformer.training.planning.speed import StepTime
from transformer.training.run import Run

SIZES = {"d_model": 16, "d_ff": 16, "heads": 2, "decoder_layers": 2}
VALUES = {"rotary_scaling": {"factor": 2.0}, "rotary_base": 9.0, "rotary_fraction": 0.5}
READ_BY = [
    (choice, name, kind)
    for choice, registry in (("attention", ATTENTION), ("positions", POSITIONS))
    for kind, variant in registry.items()
    for name in variant.fields
]


def notices(preset: str = "write-tiny", **model: object) -> list[str]:
    return [*network_notices(model, preset_config(preset, vocab_size=9, **model))]


@pytest.mark.parametrize(("choice", "name", "kind"), READ_BY)
def test_a_key_that_no_layer_reads_is_told_and_one_that_a_layer_reads_is_not(
    choice: str, name: str, kind: str
) -> None:
    preset = "translate-tiny" if kind in {"longformer", "relative"} else "write-tiny"
    value = {name: VALUES.get(name, 32)}
    (told,) = notices(preset, **{choice: "full" if choice == "attention" else "none"}, **value)
    assert told.startswith(f"model.{name} has no effect: no layer's {choice} ") and kind in told
    assert notices(preset, **{choice: kind}, **value) == []


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            {"window": 64},
            ["model.window has no effect: no layer's attention is sliding or longfor"],
        ),
        (
            {"redraw_features": 3, "random_features": 3},
            ["model.random_features and model.redraw_features have no effect: no layer"],
        ),
        ({"window": 64, "layers": ["sliding", "full"]}, []),
        (
            {"window": 64, "layers": [{"attention": "sliding", "window": 3}, "full"]},
            ["model.window has no effect: each layer that reads it has its own"],
        ),
        (
            {"layers": [{}, {"window": 3}]},
            ["model.layers[1].window has no effect: the layer's attention is full, not sliding or"],
        ),
        (
            {"layers": [{"positions": "none", "rotary_base": 9.0}]},
            ["model.layers[0].rotary_base has no effect: the layer's positions are none, not rota"],
        ),
        (
            {"attention": "sliding", "layers": ["full", "linear"]},
            ["model.attention has no effect: each layer has its own"],
        ),
        (
            {"positions": "learned", "layers": [{"positions": "rotary"}, {"positions": "none"}]},
            ["model.positions has no effect: each layer has its own"],
        ),
    ],
)
def test_layers_decide_which_keys_are_read(model: dict, told: list[str]) -> None:
    found = notices(**model)
    assert [line[: len(words)] for line, words in zip(found, told, strict=True)] == told


def test_a_kind_that_lacks_something_in_an_encoder_is_told_there_and_once() -> None:
    told = (
        "the encoder's linear-decay attention has no decay, which needs a direction: it is linear"
    )
    for preset in ("bert-tiny", "translate-tiny"):
        (line,) = notices(preset, attention="linear-decay")
        assert line.startswith(told)
    assert notices("write-tiny", attention="linear-decay") == []
    assert notices("bert-tiny", layers=["linear", "full"]) == []


def test_what_queries_and_keys_are_for_is_told_of_a_decoder_without_them() -> None:
    told = "the decoder's ssru attention has no queries and keys: it does not read "
    assert notices("write-tiny", attention="ssru") == [told + "positions (rotary)"]
    fields = {"layers": [{"attention": "ssru", "positions": "none"}, "full"], "kv_heads": 1}
    assert notices("write-tiny", **fields, qk_norm="per-head") == [told + "kv_heads and qk_norm"]
    assert notices("write-tiny", attention="ssru", positions="learned") == []
    encoder = "the encoder's ssru attention is full attention, for a recurrence has a direction"
    assert notices("translate-student") == [encoder]
    both = [encoder, told + "positions (alibi) and attention_softcap"]
    assert notices("translate-student", positions="alibi", attention_softcap=9.0) == both


def test_a_run_and_a_plan_tell_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planners.AutoRecipe, "_measure", lambda *_: StepTime(0.1, 0.1))
    fields = {
        "objective": "language-model",
        "data": write_text(tmp_path),
        "tokenizer": {"kind": "char"},
        "model": {"preset": "write-tiny", **SIZES, "window": 9},
        "training": {"steps": 1, "batch_tokens": 64, "context": 16},
    }
    words = "model.window has no effect: no layer's attention is sliding or longformer"
    recipe, planner = plan_recipe(None, fields, [])
    assert make_plan(planner, recipe, torch.device("cpu")).text().count(f"# {words}\n") == 1
    recipe, planner = plan_recipe(None, fields, [])
    run = Run(recipe, tmp_path / "run", device="cpu", planner=planner)
    assert [event.text for event in run.events() if isinstance(event, Notice)].count(words) == 1
    resumed, planner = plan_recipe(None, {}, ["training.steps=2"], resumed=tmp_path / "run")
    again = Run(resumed, tmp_path / "run", device="cpu", resume=True, planner=planner).events()
    assert words not in [event.text for event in again if isinstance(event, Notice)]
