"""Runs that are killed or stopped at any moment, twice: they end as if nothing had happened."""

import json
import random
import signal
from pathlib import Path

import msgspec
import pytest

from checkpoints import read_json
from tests.training.faulty_processes import Ended, Program
from tests.training.toys import toy_recipe
from transformer.training.recipe import Recipe, recipe_to_toml

pytestmark = pytest.mark.integration

FAULTS = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


@pytest.fixture(scope="module")
def program(fork_server) -> Program:
    return Program(fork_server)


def write_recipe(folder: Path, steps: int = 7) -> Path:
    recipe = toy_recipe(folder, steps=steps, learning_rate=0.01)
    fields = msgspec.to_builtins(recipe)
    fields["validation"] |= {"every": 3, "patience": 4, "max_lines": 3}
    fields["training"]["save_every"] = 2
    (folder / "recipe.toml").write_text(recipe_to_toml(msgspec.convert(fields, Recipe)))
    return folder / "recipe.toml"


class Runs:
    """One run without a fault, and others with two."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program, self.folder, self.recipe = program, folder, write_recipe(folder)
        self.events = self.train("whole").events
        self.ending = ending(folder / "whole")

    def train(self, name: str, number: int = 0, at: int = 0) -> Ended:
        run = self.folder / name
        return self.program.run(
            "train", self.recipe, "-o", run, "--resume", "--device", "cpu",
            folder=run, signal_number=number, at=at,
        )  # fmt: skip

    def with_faults(self, name: str, chance: random.Random) -> None:
        """Kill the run at any of its events, resume, kill or stop it again, and resume."""
        faults = []
        for number in (signal.SIGKILL, chance.choice(FAULTS)):
            at = chance.randrange(1, self.events)
            ended = self.train(name, number, at)
            faults.append(f"{number.name} at {at}: {ended.code} {ended.err[-400:]}")
            assert "unexpected" not in ended.err, faults
            assert ended.code in {0, -signal.SIGKILL, 130}, faults
        ended = self.train(name)
        assert ended.code == 0, (faults, ended)
        assert ending(self.folder / name) == self.ending, faults


def ending(run: Path) -> dict[str, object]:
    """All that a run leaves, but for times and for what else it happens to keep."""
    pointers = read_json(run / "run.json")
    files = {
        f"{kind} {file.name}": file.read_bytes()
        for kind, name in pointers.items()
        if kind != "sha256"
        for file in sorted((run / name).iterdir())
    }
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in log:
        record.pop("seconds", None)
    steps = [(record["event"], record["step"]) for record in log if "step" in record]
    assert len(set(steps)) == len(steps)
    names = {path.name for path in run.iterdir()}
    return {"pointers": pointers, "files": files, "log": log, "names": names}


@pytest.mark.parametrize("seed", [1])
def test_two_faults_leave_no_trace(program, tmp_path: Path, seed: int) -> None:
    Runs(program, tmp_path).with_faults("faulty", random.Random(seed))


@pytest.mark.slow
def test_a_hundred_pairs_of_faults_leave_no_trace(program, tmp_path: Path) -> None:
    runs, chance = Runs(program, tmp_path), random.Random(7)
    for number in range(100):
        runs.with_faults(f"run {number}", chance)
