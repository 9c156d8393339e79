"""Whole runs on toy text: resuming, accumulating, averaging, stopping, keeping."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import torch

from checkpoints import load_tensors, read_json
from tests.training.toys import toy_recipe, train, write_pairs
from transformer.data import TokenStore
from transformer.errors import ConfigError
from transformer.loading import find_model, load_model
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.training.events import Saved, Validated
from transformer.training.objectives import OBJECTIVES
from transformer.training.recipe import recipe_from_fields, recipe_to_toml
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run
from transformer.training.trainer import StepReport
from transformer.training.validation import Validation

pytestmark = pytest.mark.integration

# Objectives, settings of training, and the steps after which a run is interrupted.
INTERRUPTED = [
    *(("translation", {"ema": 0.9}, after) for after in (1, 4, 6)),
    ("translation", {"accumulate": 2, "optimizer": "sgd"}, 6),
    ("masked-lm", {"accumulate": 2}, 1),
    *((name, {}, 4 if name == "language-model" else 5) for name in OBJECTIVES),
]


def changed(recipe, **sections):
    fields = json.loads(json.dumps(msgspec.to_builtins(recipe)))
    for section, values in sections.items():
        fields[section] = {**fields[section], **values}
    return recipe_from_fields(fields)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state = read_json(run / "run.json")["state"]
    return load_tensors(run / state / "weights.safetensors")


def assert_equal_runs(one: Path, other: Path) -> None:
    """All tensors of the last state, and of the last model, bit for bit."""
    pointers = [read_json(run / "run.json") for run in (one, other)]
    assert pointers[0] == pointers[1]
    for file in sorted((one / pointers[0]["state"]).glob("*.safetensors")):
        theirs = load_tensors(other / pointers[0]["state"] / file.name)
        for name, tensor in load_tensors(file).items():
            assert torch.equal(tensor, theirs[name]), name
    models = [load_tensors(run / pointers[0]["last"] / "model.safetensors") for run in (one, other)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize(("objective", "training", "after"), INTERRUPTED)
def test_an_interrupted_run_goes_on_to_equal_weights(tmp_path, objective, training, after) -> None:
    recipe = toy_recipe(tmp_path, objective, **training)
    recipe = changed(recipe, model={"dropout": 0.2})
    train(recipe, tmp_path / "whole")
    run = Run(recipe, tmp_path / "cut", device="cpu")
    run.stop = lambda: run.progress.step == after
    events = list(run.events())
    assert events[-1][:3] == (after, "interrupted and saved", True)
    train(recipe, tmp_path / "cut", resume=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


def test_sigterm_saves_and_leaves_and_resuming_gives_equal_weights(tmp_path: Path) -> None:
    """The real program, a real signal, whenever it happens to come."""
    recipe = toy_recipe(tmp_path, steps=40)
    file = tmp_path / "recipe.toml"
    file.write_text(recipe_to_toml(changed(recipe, validation={"every": 15})))
    program = [sys.executable, "-m", "cli.app", "train", str(file), "--device", "cpu", "-q", "-o"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*program, str(tmp_path / "cut")], env=environment) as running:
        metrics = tmp_path / "cut" / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 8:
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        assert running.wait() == 130
    assert 0 < read_json(tmp_path / "cut" / find_state(tmp_path / "cut"))["step"] < 40
    recipe = resolve_recipe(file, {}, [])
    train(recipe, tmp_path / "cut", resume=True)
    train(recipe, tmp_path / "whole")
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


def find_state(run: Path) -> str:
    return read_json(run / "run.json")["state"] + "/state.json"


def test_accumulating_equals_one_large_batch(tmp_path: Path) -> None:
    """Two halves of different numbers of tokens weigh as the tokens do, not half each."""
    recipe = toy_recipe(tmp_path, steps=1, batch_tokens=100_000, optimizer="sgd", warmup=1)
    train(recipe, tmp_path / "one")
    data = OBJECTIVES["translation"].open(
        recipe, load_model(tmp_path / "one").texts, tmp_path / "one" / "data", "train"
    )
    assert data.batches_per_epoch == 1
    n = 2
    while True:  # the largest budget that cuts the data in two
        small = changed(recipe, training={"batch_tokens": 100_000 // n})
        halves = OBJECTIVES["translation"].open(
            small, load_model(tmp_path / "one").texts, tmp_path / "one" / "data", "train"
        )
        if halves.batches_per_epoch > 1:
            break
        n += 1
    parts = halves.batches_per_epoch
    tokens = {halves.batch(i).num_targets for i in range(parts)}
    assert len(tokens) == parts  # of different sizes
    train(changed(small, training={"accumulate": parts}), tmp_path / "parts")
    one, many = weights(tmp_path / "one"), weights(tmp_path / "parts")
    for name in one:
        torch.testing.assert_close(one[name], many[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_its_toy(tmp_path: Path, objective: str) -> None:
    recipe = toy_recipe(tmp_path, objective, steps=80, learning_rate=1e-2, warmup=10)
    events = train(changed(recipe, validation={"every": 40}), tmp_path / "run")
    losses = [event.loss for event in events if isinstance(event, StepReport)]
    validated = [event for event in events if isinstance(event, Validated)]
    assert losses[-1] < 0.65 * losses[0]
    assert validated[-1].loss < validated[0].loss
    assert validated[-1].sample[-1][1]
    assert [event.step for event in validated] == [40, 80]


@pytest.mark.slow
def test_a_toy_translation_is_learnt_to_the_letter(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, steps=250, learning_rate=1e-2, warmup=20, batch_tokens=1024)
    write_pairs(tmp_path, lines=800)
    recipe = changed(
        recipe, model={"d_model": 32, "d_ff": 64}, tokenizer={"kind": "bpe", "vocab_size": 100},
        training={"schedule": "cosine", "label_smoothing": 0.0}, validation={"every": 500},
    )  # fmt: skip
    train(recipe, tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    source = IterableSource(["1 2", "7 0 3", "9"])
    answers = Session([loaded]).translate(source, TranslateArguments(beam=1), Counter())
    texts = [answer.outputs[0].text for answer in answers]
    assert texts == ["one two", "seven zero three", "nine"]


def test_the_best_and_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    recipe = changed(
        toy_recipe(tmp_path, steps=10, learning_rate=1e-9),
        validation={"every": 2, "keep": 2, "metric": "loss"},
    )
    events = train(recipe, tmp_path / "run")
    bests = [event.step for event in events if isinstance(event, Validated) and event.best]
    best = bests[-1]
    before = [step for step in bests if step < 10][-1]  # the best of the state before the last
    kept = {int(p.name.split("-")[1]) for p in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {8, 10, best, before}
    states = sorted(p.name for p in (tmp_path / "run" / "training").iterdir())
    assert states == ["step-00000008", "step-00000010"]
    assert find_model(tmp_path / "run").name == f"step-{best:08d}"
    saved = [event.step for event in events if isinstance(event, Saved)]
    assert saved == [2, 4, 6, 8, 10]


def test_training_stops_when_nothing_improves(tmp_path: Path) -> None:
    recipe = changed(
        toy_recipe(tmp_path, steps=99, learning_rate=1.0, warmup=0, optimizer="sgd", clip=0.0),
        validation={"every": 1, "patience": 3, "metric": "loss"},
    )
    events = train(recipe, tmp_path / "run")
    assert events[-1].reason == "no improvement in 3 validations"
    assert not any(event.best for event in events[-8:] if isinstance(event, Validated))


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, steps=1)
    train(recipe, tmp_path / "run")
    with pytest.raises(ConfigError, match="holds a run already: continue it with --resume"):
        train(recipe, tmp_path / "run")


def test_a_model_can_start_from_another(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, steps=4)
    train(recipe, tmp_path / "first")
    fields = msgspec.to_builtins(recipe)
    still = {**fields["training"], "learning_rate": 1e-12}
    fields = {**fields, "training": still, "model": {"preset": "translate-tiny"}}
    train(recipe_from_fields(fields), tmp_path / "second", init=tmp_path / "first")
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    best = load_model(tmp_path / "first").model.state_dict()
    assert all(torch.allclose(best[name], second[name], atol=1e-6) for name in first)


def test_a_run_records_its_recipe_and_its_numbers(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, steps=4)
    train(recipe, tmp_path / "run")
    assert resolve_recipe(None, {}, [], resumed=tmp_path / "run") == recipe
    pairs = [TokenStore(tmp_path / "run" / "data" / part / "source") for part in ("train", "valid")]
    assert sum(map(len, pairs)) == 120
    assert 4 < len(pairs[1]) < 24  # about 12


def test_steps_are_saved_when_validating_fails(monkeypatch, tmp_path: Path) -> None:
    run = Run(toy_recipe(tmp_path), tmp_path / "run", device="cpu")

    def fail(*arguments: object) -> None:
        raise ValueError("no validation today")

    with monkeypatch.context() as patch, pytest.raises(ValueError, match="today"):
        patch.setattr(Validation, "compute", fail)
        list(run.events())
    assert read_json(tmp_path / "run" / find_state(tmp_path / "run"))["step"] == 4
    events = train(run.recipe, tmp_path / "run", resume=True)
    assert [event.step for event in events if isinstance(event, Validated)] == [4, 8]


def test_a_resumed_run_cannot_become_another(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, steps=2)
    train(recipe, tmp_path / "run")
    for change in ({"training": {"ema": 0.5}}, {"tokenizer": {"kind": "bpe"}}):
        with pytest.raises(ConfigError, match=r"was started with .*: start a new run"):
            train(changed(recipe, **change), tmp_path / "run", resume=True)


def test_training_that_diverges_says_so_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, optimizer="sgd", learning_rate=1e30, clip=0.0, warmup=4)
    with pytest.raises(ConfigError, match=r"lower training\.learning_rate"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()  # nothing was saved of it


def test_line_ends_inside_a_record_do_not_shift_the_validation_text(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, steps=4)
    rows = [{"s": "1 2", "t": "one\rtwo"}, {"s": "3", "t": "th\nree"}] * 30
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    odd = {
        "source": [],
        "target": [],
        "pairs": [str(tmp_path / "odd.jsonl")],
        "valid_pairs": [str(tmp_path / "odd.jsonl")],
        "columns": ["s", "t"],
    }
    events = train(changed(recipe, data=odd), tmp_path / "run")
    assert [event.sample[1][1] for event in events if isinstance(event, Validated)] == ["one\rtwo"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_compiled_model_learns_the_same(tmp_path: Path, objective: str) -> None:
    losses = []
    for compiled in (False, True):
        recipe = toy_recipe(tmp_path, objective, compile=compiled)
        events = train(recipe, tmp_path / str(compiled))
        losses.append([event.loss for event in events if isinstance(event, StepReport)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
