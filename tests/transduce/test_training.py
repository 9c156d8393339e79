"""Training from Python: a recipe in, a run's folder out."""

import json
from pathlib import Path

import pytest

import transduce
from transformer.errors import ConfigError
from transformer.training.events import Choice
from transformer.training.recipe_resolution import read_run_recipe
from transformer.training.trainer import StepReport


@pytest.mark.integration
@pytest.mark.parametrize("as_file", [False, True])
def test_a_recipe_becomes_a_model(tmp_path: Path, as_file: bool) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\n" * 60)
    recipe = {
        "objective": "language-model",
        "data": {"text": [str(text)], "valid_fraction": 0.2},
        "tokenizer": {"vocab_size": 270},
        "model": {"d_model": 16, "d_ff": 16, "heads": 2, "decoder_layers": 1},
        "training": {"steps": 3, "context": 16, "batch_tokens": 64},
    }
    if as_file:
        lines = [
            "objective = 'language-model'",
            f"data = {{text = ['{text}'], valid_fraction = 0.2}}",
            "tokenizer = {vocab_size = 270}",
            "model = {d_model = 16, d_ff = 16, heads = 2, decoder_layers = 1}",
            "training = {steps = 3, context = 16, batch_tokens = 64}",
        ]
        recipe = tmp_path / "recipe.toml"
        recipe.write_text("\n".join(lines))
    events = []
    folder = transduce.train(recipe, tmp_path / "run", device="cpu", on_event=events.append)
    assert [event.step for event in events if isinstance(event, StepReport)] == [1, 2, 3]
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["event"] for line in log] == ["data", *3 * ["step"], "validation"]
    with transduce.load(folder, device="cpu") as model:
        assert isinstance(model.generate("the cat", max_tokens=3), str)
    with pytest.raises(ConfigError, match="resume"):
        transduce.train(recipe, folder, device="cpu")
    assert transduce.train({}, str(folder), device="cpu", resume=True) == folder  # its own recipe


def test_what_a_mapping_leaves_out_is_chosen_as_on_the_command_line(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\n" * 60)
    recipe = {"data": {"text": [str(text)]}, "training": {"steps": 1, "context": 16}}
    first, second, events = tmp_path / "first", tmp_path / "second", []
    for folder, init in ((first, None), (second, first)):
        events.clear()
        transduce.train(recipe, folder, init=init, device="cpu", on_event=events.append)
        lines = [event.text for event in events if isinstance(event, Choice)]
        assert [line.partition(":")[0] for line in lines][:2] == ["tokenizer", "model"]
    kept = [read_run_recipe(folder) for folder in (first, second)]
    assert [recipe.training.learning_rate for recipe in kept] == [0.003, 0.00075]
    assert [recipe.data.valid_fraction for recipe in kept] == [0.05, 0.05]
