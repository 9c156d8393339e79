"""Who may trust sums of an earlier day: those who use a model, not those who make another of it."""

import shutil
import time

import msgspec
import pytest

from checkpoints import CheckpointError, checksum_cache, read_json, verify_checksums
from cli.commands import checkpoint
from tests.checkpoints.damage import rot
from tests.training.toys import toy_recipe, train
from transformer.export import average_models, convert_model
from transformer.loading import find_model, load_model
from transformer.training.run import Run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run's folder, and its recipe."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = toy_recipe(folder, steps=4)
    train(recipe, folder / "run")
    return folder / "run", recipe


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of the run's folder, of whose model and state all files are known."""
    monkeypatch.setattr(checksum_cache, "MIN_CACHED_BYTES", 0)
    monkeypatch.setattr(checksum_cache, "time_ns", lambda: time.time_ns() + 3_600 * 10**9)
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    verify_checksums(find_model(folder))
    verify_checksums(folder / read_json(folder / "run.json")["state"])
    return folder


def test_a_model_that_is_used_is_not_summed_again(run, monkeypatch):
    rot(find_model(run) / "model.safetensors", monkeypatch)
    load_model(run)


@pytest.mark.parametrize(
    "work",
    [
        lambda run, recipe, out: convert_model(run, out, to="huggingface"),
        lambda run, recipe, out: average_models([find_model(run)], out),
        lambda run, recipe, out: checkpoint.verify(run, run),
        lambda run, recipe, out: Run(msgspec.structs.replace(recipe, model={}), out, init=run),
    ],
    ids=["convert", "average", "verify", "train --init"],
)
def test_a_model_that_another_is_made_of_is_summed(run, trained, tmp_path, monkeypatch, work):
    work(run, trained[1], tmp_path / "before")
    rot(find_model(run) / "model.safetensors", monkeypatch)
    with pytest.raises(CheckpointError, match="contents are not what was written"):
        work(run, trained[1], tmp_path / "after")


def test_a_state_that_a_run_goes_on_from_is_summed(run, trained, monkeypatch):
    train(trained[1], run, resume=True)
    state = run / read_json(run / "run.json")["state"]
    verify_checksums(state)
    rot(state / "weights.safetensors", monkeypatch)
    verify_checksums(state, trust_cache=True)
    with pytest.raises(CheckpointError, match="contents are not what was written"):
        train(trained[1], run, resume=True)
