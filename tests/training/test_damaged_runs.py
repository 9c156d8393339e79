"""Damage to any file of a run: what comes after is what came before, or one clear line."""

import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from checkpoints import read_json
from tests.training.faulty_processes import Ended, Program
from tests.training.test_killed_runs import ending, write_recipe

pytestmark = pytest.mark.integration

LINES = ["1 2 3", "9 0", "4"]


@pytest.fixture(scope="module")
def program(fork_server) -> Program:
    return Program(fork_server)


@pytest.fixture(scope="module")
def interrupted(program, tmp_path_factory) -> "Interrupted":
    return Interrupted(program, tmp_path_factory.mktemp("damaged"))


class Interrupted:
    """A run that was stopped half way, and how it ends when nothing is damaged."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program, self.folder, self.recipe = program, folder, write_recipe(folder)
        (folder / "lines").write_text("\n".join(LINES) + "\n")
        assert program.run(*self.command("whole")).code == 0
        self.ending, self.run = ending(folder / "whole"), folder / "run"
        for at in range(80, 400, 20):
            shutil.rmtree(self.run, ignore_errors=True)
            program.run(*self.command("run"), folder=self.run, signal_number=signal.SIGTERM, at=at)
            if (self.run / "run.json").exists() and 5 < self.step() < 10:
                break
        assert 5 < self.step() < 10
        self.translation = self.translate(self.run)
        assert self.translation.code == 0

    def step(self) -> int:
        return int(read_json(self.run / "run.json")["state"].rpartition("-")[2])

    def command(self, name: str) -> list[object]:
        return ["train", self.recipe, "-o", self.folder / name, "--resume", "--device", "cpu"]

    def translate(self, run: Path) -> Ended:
        return self.program.run("translate", "-m", run, self.folder / "lines", "--device", "cpu")

    def files(self) -> list[str]:
        """The files of the run that hold anything."""
        paths = (path for path in sorted(self.run.rglob("*")) if path.is_file())
        return [p.relative_to(self.run).as_posix() for p in paths if p.stat().st_size]

    def check(self, damage: Callable[[Path], str]) -> None:
        """Damage a copy of the run; translate with it, and resume it."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.run, copy)
        said = damage(copy)
        self._check_line(said, self.translate(copy), self.translation.out)
        ended = self.program.run(*self.command("copy"))
        self._check_line(said, ended, "")
        if ended.code == 0 and "the next validation counts as the best" not in ended.err:
            found = ending(copy)
            for part, value in self.ending.items():
                if part != "log":  # whose earlier lines may be what was damaged
                    assert found[part] == value, (said, part, ended)
            assert self.translate(copy).code == 0

    def _check_line(self, said: str, ended: Ended, expected: str) -> None:
        assert "unexpected" not in ended.err, (said, ended)
        assert "Traceback" not in ended.err, (said, ended)
        if ended.code == 0:
            assert ended.out == expected, (said, ended)
        else:
            assert ended.code in {1, 2, 3, 4}, (said, ended)
            assert ended.out == "", (said, ended)
            assert ended.err.splitlines()[-1].startswith("transduce: "), (said, ended)


def flip(run: Path, name: str, chance: random.Random) -> str:
    data = bytearray((run / name).read_bytes())
    bit = chance.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    (run / name).write_bytes(data)
    return f"bit {bit} of {name} flipped"


def cut(run: Path, name: str, chance: random.Random) -> str:
    data = (run / name).read_bytes()
    size = chance.randrange(len(data))
    (run / name).write_bytes(data[:size])
    return f"{name} cut to {size} bytes"


def delete(run: Path, name: str, chance: random.Random) -> str:
    del chance
    (run / name).unlink()
    return f"{name} deleted"


@pytest.mark.slow  # test_run_recovery.py has the kinds of damage, without programs
@pytest.mark.parametrize(("damage", "times"), [(flip, 200), (cut, 100), (delete, 30)])
def test_every_file_may_be_damaged(interrupted, damage, times) -> None:
    names, chance = interrupted.files(), random.Random(5)
    for number in range(times):
        name = names[number % len(names)] if number < len(names) else chance.choice(names)
        interrupted.check(lambda run, name=name: damage(run, name, chance))
