"""`evaluate -m RUN`: what each objective's validation measured, once more."""

import json
import math

import pytest
from msgspec.structs import replace

from tests.masked_models import CONTEXT, write_masked
from tests.training.toys import toy_recipe, train
from transformer.loading import load_model
from transformer.training.data_recipe import text_paths
from transformer.training.objectives import OBJECTIVES
from transformer.training.recipe_resolution import read_run_recipe

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a run of an objective of one step, and the record of its only validation."""
    made = {}

    def run_of(objective):
        if objective not in made:
            folder = tmp_path_factory.mktemp(objective)
            recipe = toy_recipe(folder, objective, steps=1, precision="float32", warmup=1)
            texts = {
                f"valid_{key}": paths for key, paths in text_paths(recipe.data).items() if paths
            }
            data = replace(recipe.data, **texts, valid_fraction=0.0)  # all of it
            train(replace(recipe, data=data), folder / "run")
            log = [json.loads(x) for x in (folder / "run/metrics.jsonl").read_text().splitlines()]
            made[objective] = folder / "run", log[-1]
        return made[objective]

    return run_of


# A translator's pairs are translated by its own beams, as those of a file: see test_evaluate.
@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "translation"])
def test_a_run_is_measured_as_its_validation_measured_it(objective, runs, transduce):
    run, validation = runs(objective)
    assert validation["event"] == "validation"
    ended = transduce("evaluate", "-m", run, "--device", "cpu", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["validation_of"] == str(run)
    assert f"the validation text of {run}: ".encode() in ended.err
    for name, score in validation["scores"].items():
        assert found[name]["score"] == pytest.approx(score["value"], abs=1e-3)
        assert found[name]["signature"] == score["signature"]
    if "loss" in found:
        assert found["loss"] == pytest.approx(validation["loss"], rel=1e-5)
    assert "loss" in found or validation["scores"]


FILES = {"masked-lm": "text", "span-corruption": "text", "instructions": "conversations"}


@pytest.mark.parametrize("objective", FILES)
def test_a_file_is_measured_as_a_runs_own_text(objective, runs, transduce):
    run, validation = runs(objective)
    (path,) = text_paths(read_run_recipe(run).data)[FILES[objective]]
    command = ("evaluate", "-m", run, "--device", "cpu", "--json")
    found = json.loads(transduce(*command, f"--{FILES[objective]}", path).out)
    assert found["loss"] == pytest.approx(validation["loss"], rel=1e-5)
    own = json.loads(transduce(*command).out)
    assert {*found} - {"notices"} == {*own} - {"validation_of"}
    assert all(found[name] == own[name] for name in ("tokens", "signature"))


def test_a_masked_model_of_no_run_has_berts_noise(transduce, tmp_path):
    model, file = write_masked(tmp_path / "m"), tmp_path / "in.txt"
    file.write_text("one two größer 日本 three four five\n" * 20)
    ended = transduce("evaluate", "-m", model, "--device", "cpu", "--text", file, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    noise = "probability:0.15|masked:0.8|random:0.1|kept:0.1|whole_words:False"
    assert found["signature"] == f"objective:masked-lm|{noise}|context:{CONTEXT}"
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    loaded = load_model(model, device="cpu")
    ids = [*loaded.tokenizer.encode(file.read_text()), loaded.generation.end_id]
    assert found["tokens"] == pytest.approx(0.15 * len(ids), abs=0.05 * len(ids))
    file.write_text(" \n")
    ended = transduce("evaluate", "-m", model, "--device", "cpu", "--text", file)
    assert (ended.code, ended.out) == (4, b"")
    assert b"no text" in ended.err


def test_conversations_that_do_not_count_are_told(transduce, runs, tmp_path):
    run, _ = runs("instructions")
    file = tmp_path / "in.jsonl"
    rows = [{"prompt": "one", "completion": "two"}, {"prompt": "three", "completion": " "}]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    command = ("evaluate", "-m", run, "--device", "cpu", "--conversations", file)
    ended = transduce(*command)
    assert ended.code == 0, ended.err
    assert f"1 conversation of {file}; left out: 1 without an answer".encode() in ended.err
    assert b"| objective:instructions\n" in ended.out
    file.write_text(json.dumps(rows[1]))
    ended = transduce(*command)
    assert (ended.code, ended.out) == (4, b"")


def test_a_loss_has_the_settings_of_its_noise(runs, transduce):
    run, _ = runs("masked-lm")
    ended = transduce("evaluate", "-m", run, "--device", "cpu")
    rows = [line.split("\t") for line in ended.out.decode().splitlines()]
    assert [row[0] for row in rows] == ["loss", "perplexity", "accuracy"]
    signature = "objective:masked-lm|probability:0.15|masked:0.8|random:0.1|kept:0.1|"
    assert f"| {signature}whole_words:False" in rows[0][2]
    assert rows[0][2].startswith("nats a token, ")
    assert (
        rows[1][2] == f"e to the loss, {rows[0][2].split(' | ')[0].removeprefix('nats a token, ')}"
    )


def test_options_of_files_do_not_go_with_a_runs_own_text(runs, transduce):
    run, _ = runs("masked-lm")
    ended = transduce("evaluate", "-m", run, "--beam", "2")
    assert ended.code == 2
    told = f"--beam: with --source or --pairs, and {run} validates on text for masked-lm"
    assert told.encode() in ended.err
