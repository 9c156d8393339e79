"""Parameters that are frozen, and rates by names: what they change, and resuming."""

import re
import tomllib
from pathlib import Path

import pytest
import torch

from checkpoints import load_tensors, read_json
from cli.render.training import _event_lines
from tests.models import tiny_model
from tests.training.test_run import assert_equal_runs, changed
from tests.training.toys import recipe_of, running_data, toy_recipe, train
from transformer.config import TransformerConfig
from transformer.config_fields import config_from_fields
from transformer.errors import ConfigError
from transformer.training.events import RunStarted
from transformer.training.planning.memory import training_memory
from transformer.training.recipe import Recipe, TrainingRecipe, recipe_from_fields, recipe_to_toml
from transformer.training.run import Run
from transformer.training.trainable import TrainableSet, trainable_set
from transformer.training.trainer import StepReport, Trainer

ALL = {*dict(tiny_model().named_parameters())}


def select(model=None, **training: object) -> TrainableSet:
    return TrainableSet.select(model or tiny_model(), TrainingRecipe(**training))


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        ([], "(?!)"),
        (["embedding*"], r"embedding\."),
        (["embedding"], r"embedding\."),  # a module stands for all in it
        (["decoder.layers.1"], r"decoder\.layers\.1\."),
        (["decoder.layers.[01].attention", "*.norm"], r".*\.attention\.|.*\bnorm\."),
        (["decoder.layers.0.attention.qkv.bias"], r"decoder\.layers\.0\.attention\.qkv\.bias"),
    ],
)
def test_patterns_name_parameters_or_their_modules(patterns: list[str], frozen: str) -> None:
    names = {name for name in ALL if re.match(frozen, name)}
    chosen = select(freeze=patterns)
    assert {*chosen.factors} == ALL - names
    sizes = {name: weight.numel() for name, weight in tiny_model().named_parameters()}
    assert chosen.total == sum(sizes.values())
    assert chosen.trained == chosen.total - sum(sizes[name] for name in names)


def test_of_two_rates_that_fit_the_last_counts() -> None:
    rates = {"decoder.layers": 0.5, "decoder.layers.1": 0.25, "*.bias": 2.0}
    factors = select(learning_rates=rates).factors
    assert factors["embedding.weight"] == 1.0
    assert factors["decoder.layers.0.attention.qkv.weight"] == 0.5
    assert factors["decoder.layers.1.attention.qkv.weight"] == 0.25
    assert factors["decoder.layers.1.attention.qkv.bias"] == 2.0


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"freeze": ["encoder.*"]}, r"training.freeze has 'encoder.\*', and no trained parameter"),
        ({"freeze": ["embeding"]}, "did you mean embedding"),
        ({"freeze": ["colour"]}, "called so .they are in embedding, decoder.positions"),
        ({"learning_rates": {"decoder.layer.1": 2.0}}, "learning_rates has .* decoder.layers.1"),
        (
            {"freeze": ["decoder"], "learning_rates": {"decoder.layers.0": 2.0}},
            "learning_rates has",
        ),
        ({"freeze": ["*"]}, "leaves nothing to train"),
    ],
)
def test_a_pattern_that_fits_nothing_is_told(training: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        select(tiny_model(positions="learned"), **training)


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(ConfigError, match=r"learning_rates\.head is 0.0; it must be .*above 0"):
        recipe_from_fields({"training": {"learning_rates": {"head": 0.0}}})


def test_patterns_read_back_from_toml() -> None:
    training = {"freeze": ["embedding*"], "learning_rates": {"*.norm": 2.0, "head": 0.5}}
    recipe = recipe_from_fields({"training": training})
    back = recipe_from_fields(tomllib.loads(recipe_to_toml(recipe)))
    assert back == recipe
    assert list(back.training.learning_rates) == ["*.norm", "head"]  # their order matters


def trainer_of(**training: object) -> Trainer:
    recipe = recipe_of("language-model", precision="float32", warmup=1, **training)
    return Trainer(tiny_model(), running_data(), recipe)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_frozen_weights_stay_bit_equal_and_have_no_state(optimizer: str) -> None:
    trainer = trainer_of(
        freeze=["embedding", "decoder.layers.0"], ema=0.5, weight_decay=0.1, optimizer=optimizer
    )
    before = {name: w.clone() for name, w in trainer.model.state_dict().items()}
    for _ in range(3):
        trainer.step()
    frozen = {n for n in before if n.startswith(("embedding.", "decoder.layers.0."))}
    for name, weight in trainer.model.named_parameters():
        assert torch.equal(weight, before[name]) == (name in frozen), name
        assert (weight.grad is None) or name not in frozen
    assert trainer.ema is not None
    assert trainer.ema.weights.keys() == before.keys() - frozen
    trained = [p for group in trainer.optimizer.param_groups for p in group["params"]]
    assert len(trained) == len(before) - len(frozen)
    with trainer.evaluating() as model:
        for name, weight in model.state_dict().items():
            wanted = before[name] if name in frozen else trainer.ema.weights[name]
            assert torch.equal(weight, wanted)


def test_the_gradients_norm_is_of_what_is_trained() -> None:
    """Frozen weights add nothing to the norm, so clipping does not depend on them."""
    norms = []
    for freeze in ([], ["embedding"], ["decoder.*"]):
        trainer = trainer_of(freeze=freeze, clip=0.0)
        trainer.step()
        (report,) = trainer.reports(flush=True)
        assert isinstance(report, StepReport)
        norms.append(report.gradient_norm)
    assert norms[0] ** 2 == pytest.approx(norms[1] ** 2 + norms[2] ** 2, rel=1e-4)


def test_a_factor_multiplies_the_rate_of_what_it_names() -> None:
    """By sgd without momentum, the first step is as long as the factor says."""
    plain = {"optimizer": "sgd", "beta1": 0.0, "clip": 0.0, "learning_rate": 0.1}
    moved = []
    for rates in ({}, {"embedding": 3.0, "decoder.layers.1.*": 0.5}):
        trainer = trainer_of(**plain, learning_rates=rates)
        before = {name: w.clone() for name, w in trainer.model.state_dict().items()}
        trainer.step()
        moved.append({n: w - before[n] for n, w in trainer.model.state_dict().items()})
    for name, step in moved[0].items():
        factor = 3.0 if name == "embedding.weight" else 0.5 if "layers.1." in name else 1.0
        torch.testing.assert_close(moved[1][name], factor * step, atol=1e-6, rtol=1e-4)


PARTS = {
    "freeze": ["source_embedding", "encoder.layers.0.attention"],
    "learning_rates": {"head": 4.0, "decoder.*": 0.5},
}


@pytest.mark.integration
def test_a_run_with_frozen_parts_resumes_bit_equal(tmp_path: Path) -> None:
    model = {"share_embeddings": False, "tie_output": False}
    recipe = changed(toy_recipe(tmp_path, ema=0.9, **PARTS), model=model)
    events = train(recipe, tmp_path / "whole")
    run = Run(recipe, tmp_path / "cut", device="cpu")
    run.stop = lambda: run.progress.step == 5
    list(run.events())
    train(recipe, tmp_path / "cut", resume=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")
    start = [
        load_tensors(tmp_path / name / "weights.safetensors") for name in state_paths(tmp_path)
    ]
    for name in start[0]:
        is_frozen = name.startswith(("source_embedding", "encoder.layers.0.attention."))
        assert torch.equal(start[0][name], start[1][name]) == is_frozen, name
    (started,) = [event for event in events if isinstance(event, RunStarted)]
    assert started.trained == trainable_set(run_config(tmp_path), recipe.training).trained
    with pytest.raises(ConfigError, match=r"training.freeze, training.learning_rates; that cannot"):
        other = changed(recipe, training={"freeze": ["head"], "learning_rates": {}})
        train(other, tmp_path / "cut", resume=True)


def state_paths(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in (folder / "whole" / "training").iterdir())


def run_config(folder: Path) -> TransformerConfig:
    pointers = read_json(folder / "whole" / "run.json")
    return config_from_fields(read_json(folder / "whole" / pointers["state"] / "config.json"))


def test_a_pattern_is_checked_before_there_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training.freeze has .headd."):
        Run(toy_recipe(tmp_path, freeze=["headd"]), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_the_start_says_how_much_is_trained() -> None:
    (line,) = _event_lines(RunStarted(1000, "cpu", 9, 0, 4, trained=125), live=False)
    assert line == "trains 125 of 1,000 parameters (12.5%) on cpu; 9 steps, 4 batches an epoch"
    (line,) = _event_lines(RunStarted(1000, "cpu", 9, 0, 4), live=False)
    assert line == "1,000 parameters on cpu; 9 steps, 4 batches an epoch"


def test_memory_is_counted_for_what_is_trained() -> None:
    """Gradient, two moments, and the average with the weights that are set aside for it."""
    model = tiny_model()
    training = Recipe().training
    whole, part = (training_memory(model.config, training, trained=n) for n in (None, 10))
    assert part.weights == whole.weights == 4 * trainable_set(model.config, training).total
    assert (whole.training, part.training) == (3 * whole.weights, 3 * 4 * 10)
