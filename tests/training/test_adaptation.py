"""Runs that train an adapter beside a model: what they keep, and how they go on."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import transformers

from checkpoints import CheckpointError, load_tensors, read_json, save_tensors
from cli.options.training import RecipeOptions
from tests.adapters.sides import IDS, SOURCE, load_peft, our_logits
from tests.families.random_folders import draw, write_folder
from tests.models import model_inputs
from tests.training.test_run import changed
from tests.training.toys import toy_recipe, train, write_text
from transformer.adapters.lora import LoraUpdate, lora_updates
from transformer.errors import ConfigError, UnknownNameError
from transformer.export import convert_model
from transformer.initialization import initialize
from transformer.loading import find_model, load_model
from transformer.model import Transformer
from transformer.training.adaptation import count_stand_in, make_adaptation
from transformer.training.events import RunFinished, RunStarted
from transformer.training.kept_texts import keep_texts
from transformer.training.model_list import _kind
from transformer.training.network import network
from transformer.training.planning.speed import RandomBatches, measure_step
from transformer.training.recipe import Recipe, recipe_from_fields
from transformer.training.run import Run
from transformer.training.trainable import TrainableSet

pytestmark = pytest.mark.integration

LORA = {"kind": "lora", "rank": 2, "target_modules": ["q", "v", "down"], "dropout": 0.1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of a few steps, `base`."""
    path = tmp_path_factory.mktemp("adapted")
    train(toy_recipe(path, steps=4), path / "base")
    return path


def recipe_of(folder: Path, *, adapter: dict[str, Any] = LORA, **training: Any) -> Recipe:
    """A recipe of the base's text that adapts it."""
    training = {"learning_rate": 0.01, "ema": 0.5, **training}
    plain = toy_recipe(folder, **training)
    fields = msgspec.to_builtins(plain)
    fields["model"] = {"preset": "translate-tiny"}
    fields["tokenizer"]["kind"] = "bpe"
    return recipe_from_fields({**fields, "adapter": adapter})


@pytest.fixture(scope="module")
def run(folder: Path) -> tuple[Path, list[Any]]:
    events = train(recipe_of(folder), folder / "whole", init=folder / "base")
    return folder / "whole", events


def state_of(run: Path) -> Path:
    return run / read_json(run / "run.json")["state"]


def test_the_base_stays_and_the_adapter_alone_is_kept(run, folder: Path) -> None:
    whole, events = run
    base = find_model(folder / "base")
    sums = base.joinpath("manifest.json").read_bytes()
    state = load_tensors(state_of(whole) / "weights.safetensors")
    assert all(".updates." in name for name in state)
    assert all(weight.any() for name, weight in state.items() if name.endswith("lora_B"))
    average = load_tensors(state_of(whole) / "average.safetensors")
    assert average.keys() == state.keys()
    (checkpoint,) = (whole / "checkpoints").glob("step-*8")
    names = {path.name for path in checkpoint.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "adapter_base.json"} <= names
    assert not {"config.json", "model.safetensors"} & names
    small, large = (
        sum(p.stat().st_size for p in f.glob("*.safetensors")) for f in (checkpoint, base)
    )
    assert small < large / 2
    (started,) = [event for event in events if isinstance(event, RunStarted)]
    trained = sum(weight.numel() for weight in state.values())
    whole_model = load_model(folder / "base", device="cpu").model
    assert started.trained == trained
    assert started.parameters == trained + sum(w.numel() for w in whole_model.parameters())
    assert base.joinpath("manifest.json").read_bytes() == sums
    assert _kind(checkpoint) == "adapter"


def test_its_folder_is_a_model(run, folder: Path) -> None:
    whole, events = run
    loaded = load_model(whole, device="cpu")
    assert loaded.adapter is not None
    assert loaded.adapter.parent == whole / "checkpoints"
    base = load_model(folder / "base", device="cpu")
    weight = "encoder.layers.0.attention.qkv.weight"
    difference = loaded.model.state_dict()[weight] - base.model.state_dict()[weight]
    width = base.config.d_model
    assert difference[:width].any()
    assert not difference[width : 2 * width].any()  # keys have no update
    assert difference[2 * width :].any()
    (finished,) = [event for event in events if isinstance(event, RunFinished)]
    assert finished.outcome is not None
    assert len(finished.outcome.samples) > 0


def test_it_has_the_texts_that_it_was_trained_on(folder: Path, tmp_path: Path) -> None:
    """A prefix before each source is the adapter's, not the base's; merged, it stays."""
    recipe = changed(recipe_of(folder, steps=2), data={"source_prefix": "7 "})
    train(recipe, tmp_path / "run", init=folder / "base")
    base, adapted = (load_model(f, device="cpu") for f in (folder / "base", tmp_path / "run"))
    before, after = base.special_affixes
    assert adapted.special_affixes == ([*before, *base.tokenizer.encode("7 ")], after)
    convert_model(tmp_path / "run", tmp_path / "merged", to="transduce")
    assert load_model(tmp_path / "merged", device="cpu").special_affixes == adapted.special_affixes


@pytest.mark.parametrize("after", [1, 5])
def test_an_interrupted_run_goes_on_to_equal_weights(
    run, folder: Path, tmp_path: Path, after: int
) -> None:
    whole, _ = run
    cut = Run(recipe_of(folder), tmp_path / "cut", device="cpu", init=folder / "base")
    cut.stop = lambda: cut.progress.step == after
    list(cut.events())
    train(recipe_of(folder), tmp_path / "cut", resume=True)
    for file in sorted(state_of(whole).glob("*.safetensors")):
        theirs = load_tensors(state_of(tmp_path / "cut") / file.name)
        for name, tensor in load_tensors(file).items():
            assert torch.equal(tensor, theirs[name]), name
    last = read_json(whole / "run.json")["last"]
    models = [f / last / "adapter_model.safetensors" for f in (whole, tmp_path / "cut")]
    one, other = map(load_tensors, models)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_without_its_base_is_told(folder: Path, tmp_path: Path) -> None:
    base, run = tmp_path / "base", tmp_path / "run"
    train(toy_recipe(tmp_path, steps=2), base)
    train(recipe_of(tmp_path, steps=4), run, init=base)
    with pytest.raises(ConfigError, match=r"another adapter\.rank; that cannot change"):
        train(recipe_of(tmp_path, adapter={**LORA, "rank": 3}), run, resume=True)
    moved = base.rename(tmp_path / "moved")
    longer = recipe_of(tmp_path, steps=6)
    with pytest.raises(CheckpointError, match=f"is an adapter of {base}.* which is not there any"):
        load_model(run, device="cpu")
    with pytest.raises(ConfigError, match=f"trains an adapter of {base}.* with --init"):
        train(longer, run, resume=True)
    with pytest.raises(
        CheckpointError, match=r"the model.safetensors of .* is not that of the mod"
    ):
        train(longer, run, resume=True, init=folder / "base")
    train(longer, run, resume=True, init=moved)
    assert load_model(run, device="cpu").adapter is not None  # it names where the base is now
    with pytest.raises(ConfigError, match="is an adapter, and another one needs a whole model"):
        train(recipe_of(tmp_path), tmp_path / "second", init=run)


@pytest.mark.parametrize(
    ("adapter", "init", "told"),
    [
        (LORA, False, "adapter.kind is 'lora': it needs a model, --init MODEL"),
        ({**LORA, "target_modules": ["qq"]}, True, "'qq', which is no linear map of this model"),
        ({**LORA, "modules_to_save": ["classifer"]}, True, "the model has no such module"),
        ({**LORA, "layers": [7]}, True, "adapter.layers has 7"),
    ],
)
def test_what_cannot_be_adapted_is_told_before_there_is_a_folder(
    folder: Path, tmp_path: Path, adapter: dict[str, Any], init: bool, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        train(
            recipe_of(folder, adapter=adapter),
            tmp_path / "run",
            init=folder / "base" if init else None,
        )
    assert not (tmp_path / "run").exists()


def test_settings_of_no_adapter_are_told() -> None:
    for adapter in ({"rank": 4}, {"layers": [1]}, {"kind": "none", "target_modules": ["q"]}):
        with pytest.raises(ConfigError, match=r"is set, but no adapter is trained: --lora"):
            recipe_from_fields({"adapter": adapter})
    with pytest.raises(UnknownNameError, match="no adapter is called 'lorra'; did you mean lora"):
        make_adaptation(recipe_from_fields({"adapter": {"kind": "lorra"}}), None)
    with pytest.raises(ConfigError, match=r"adapter\.rank is 0; it must be at least 1"):
        recipe_from_fields({"adapter": {"kind": "lora", "rank": 0}})


def test_flags_set_the_adapter() -> None:
    assert RecipeOptions(lora=True).fields() == {"adapter": {"kind": "lora"}}
    assert RecipeOptions(lora_rank=4).fields() == {"adapter": {"kind": "lora", "rank": 4}}


def test_updates_have_rates_and_modules_are_trained_whole(folder: Path) -> None:
    """`lora_B` faster than `lora_A` is LoRA+, arXiv 2402.12354."""
    init = load_model(folder / "base", device="cpu")
    adapter = {**LORA, "modules_to_save": ["decoder.layers.0.feedforward_residual"]}
    recipe = recipe_of(
        folder, adapter=adapter, learning_rates={"*.lora_B": 16.0}, freeze=["encoder.layers"]
    )
    adaptation = make_adaptation(recipe, init)
    model = network(init.config, init, adaptation, seed=1)
    chosen = TrainableSet.select(model, recipe.training)
    assert chosen.factors["decoder.layers.0.attention.qkv.updates.q.lora_B"] == 16.0
    assert chosen.factors["decoder.layers.0.attention.qkv.updates.q.lora_A"] == 1.0
    assert chosen.factors["decoder.layers.0.feedforward_residual.norm.weight"] == 1.0
    assert not any(name.startswith("encoder.") for name in chosen.factors)
    assert any(name.startswith("encoder.") for name in chosen.saved(model))  # the state is whole


def test_a_step_is_measured_with_an_adapter(folder: Path) -> None:
    config = load_model(folder / "base", device="cpu").config
    recipe = recipe_of(folder, freeze=["*.lora_A"], adapter={**LORA, "target_modules": ["x_proj"]})
    assert recipe.training.freeze
    data = RandomBatches(config, length=8, max_tokens=16)
    time = measure_step(config, recipe, data, device=torch.device("cpu"), seconds=0.01)
    assert time.median > 0
    linear = 4 * (16 + 16) + (16 + 32) + (32 + 16)  # q, k, v, out; up and down
    assert count_stand_in(config, recipe) == 2 * (2 * linear + 4 * (16 + 16))
    assert count_stand_in(config, recipe_of(folder, adapter={})) is None


def test_an_adapter_of_a_published_model_answers_the_same_in_peft(tmp_path: Path) -> None:
    """From a GPT-2's folder and a text to an adapter that PEFT loads."""
    base = tmp_path / "gpt2"
    write_folder(draw("gpt2", 3)._replace(stored="file", edits={}, settings={}), base)
    plain = toy_recipe(tmp_path, "language-model", steps=3, learning_rate=0.1, context=16)
    fields = {
        **msgspec.to_builtins(plain),
        "model": {"preset": "write-tiny"},
        "data": write_text(tmp_path, 60),
    }
    fields["tokenizer"]["kind"] = "bpe"
    fields["adapter"] = {"kind": "lora", "target_modules": ["c_attn", "c_fc"], "rslora": True}
    train(recipe_from_fields(fields), tmp_path / "run", init=base)
    loaded = load_model(tmp_path / "run", device="cpu")
    assert loaded.adapter is not None
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base)
    adapted = load_peft(theirs, loaded.adapter)
    with torch.no_grad():
        wanted = adapted(input_ids=IDS).logits
        assert (wanted - theirs(input_ids=IDS).logits).abs().max() > 1e-3
    torch.testing.assert_close(our_logits(loaded.model), wanted, atol=2e-4, rtol=1e-4)
    fields = json.loads((loaded.adapter / "adapter_config.json").read_text())
    assert fields["base_model_name_or_path"] == str(base.absolute())
    assert (fields["fan_in_fan_out"], fields["task_type"]) == (True, "CAUSAL_LM")


def test_the_best_checkpoint_is_read_back(run, folder: Path) -> None:
    whole, _ = run
    init = load_model(folder / "base", device="cpu")
    adaptation = make_adaptation(recipe_of(folder), init)
    assert adaptation is not None
    model = network(init.config, init, adaptation, seed=9)
    best = whole / read_json(whole / "run.json")["best"]
    adaptation.read(best, model)
    stored = load_tensors(best / "adapter_model.safetensors")
    for update in lora_updates(model):
        key = f"base_model.model.{update.part.name}"
        assert torch.equal(update.a, stored[f"{key}.lora_A.weight"])
        assert torch.equal(update.b, stored[f"{key}.lora_B.weight"])


def test_a_new_head_is_trained_whole_and_comes_with_the_adapter(
    folder: Path, tmp_path: Path
) -> None:
    """A base that generates, with a head over three labels: what is loaded computes the same."""
    init = load_model(folder / "base", device="cpu")
    adaptation = make_adaptation(recipe_of(folder), init)
    assert adaptation is not None
    fields = {"head": "classification", "labels": 3, "classifier_layer": "tanh"}
    config = msgspec.structs.replace(init.config, **fields)
    model = Transformer(config)
    initialize(model, seed=3)
    body = {n: w for n, w in init.model.state_dict().items() if not n.startswith("head.")}
    model.load_state_dict({**model.state_dict(), **body})
    adaptation.attach(model, seed=1)
    chosen = TrainableSet.select(model, Recipe().training)
    heads = {name for name in chosen.factors if name.startswith("head.")}
    assert heads == {n for n in dict(model.named_parameters()) if n.startswith("head.")}
    assert heads
    with torch.no_grad():
        for update in model.modules():
            if isinstance(update, LoraUpdate):
                update.lora_B.normal_()
    checkpoint = tmp_path / "run" / "checkpoint"
    checkpoint.mkdir(parents=True)
    keep_texts(tmp_path / "run", init, Recipe().data)
    adaptation.write(tmp_path / "run", checkpoint, model.eval(), {})
    loaded = load_model(checkpoint, device="cpu")
    assert loaded.config == config
    inputs = model_inputs(IDS % 20, source_BS=SOURCE % 20)
    with torch.no_grad():
        wanted, found = model(inputs), loaded.model(inputs)
    assert wanted.shape == (len(IDS), 3)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    half = load_model(checkpoint, device="cpu", dtype=torch.bfloat16).model
    assert {tensor.dtype for tensor in half.state_dict().values()} == {torch.bfloat16}
    stored = load_tensors(checkpoint / "adapter_model.safetensors")
    without = {name: w for name, w in stored.items() if "head" not in name}
    save_tensors(checkpoint / "adapter_model.safetensors", without)
    with pytest.raises(CheckpointError, match=r"lacks head\.\w+, which its base lacks, too"):
        load_model(checkpoint, device="cpu")
