"""The lines at the end of a run: each can be read, or typed."""

import re
import shlex
from pathlib import Path

import pytest

from cli.render.run_end import end_parts
from tests.training.faulty_processes import Ended, Program
from tests.training.toys import toy_recipe
from transformer.training.events import RunFinished, RunOutcome
from transformer.training.objectives import OBJECTIVES
from transformer.training.recipe import recipe_to_toml

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def program(fork_server) -> Program:
    return Program(fork_server)


def run_to_end(program: Program, folder: Path, objective: str) -> Ended:
    recipe = folder / "recipe.toml"
    toy = toy_recipe(folder, objective, steps=12, learning_rate=1e-9)
    recipe.write_text(recipe_to_toml(toy))
    run = folder / "a run"
    return program.run("train", recipe, "-o", run, "--set", "validation.metric=loss")


@pytest.mark.parametrize(("objective", "command"), [
    ("translation", "translate"), ("language-model", "generate")
])  # fmt: skip
def test_a_run_ends_with_its_best_and_commands_that_work(
    program, tmp_path: Path, objective: str, command: str
) -> None:
    ended = run_to_end(program, tmp_path, objective)
    lines = [line.removeprefix("transduce: ") for line in ended.err.splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith("all steps done at step 12,"))
    assert re.fullmatch(r"all steps done at step 12, in 0:\d\d", lines[start])
    best, *shown = lines[start + 1 :]
    run = tmp_path / "a run"
    assert re.match(r"best: step \d+, (bleu \d+\.\d\d, chrf \d+\.\d\d, )?loss \d+\.\d{4}, in", best)
    assert best.endswith(f"in {run}/checkpoints/step-{int(best[11:13].rstrip(',')):08d}")
    labels = [line.partition(":")[0].strip() for line in shown[: shown.index("next:")]]
    triple = ["source", "reference", "output"]
    assert labels == (triple * 3 if objective == "translation" else ["sample"])
    typed = [line.strip() for line in shown[shown.index("next:") + 1 :]]
    words = [shlex.split(line, comments=True) for line in typed]
    assert [each[:2] for each in words] == [
        ["transduce", command], ["transduce", "evaluate"], ["transduce", "train"]
    ]  # fmt: skip
    for each in words[:2]:
        assert program.run(*each[1:], "-q").code == 0, each
    longer = [*words[2][1:-2], "--steps", "13"]
    again = program.run(*longer).err.splitlines()
    assert "transduce: resuming at step 12 of 13" in again
    assert "transduce: changed since the run was saved: training.steps 12 → 13" in again


def test_a_run_without_improvement_is_not_told_to_go_on() -> None:
    outcome = RunOutcome("translation", Path("r/checkpoints/step-00000002"), None, {}, [])
    finished = RunFinished(8, "no improvement", interrupted=False, outcome=outcome)
    lines = list(end_parts(finished, Path("r")))
    assert lines[0].startswith("nothing was validated: the model is the last checkpoint, r/check")
    assert not any("--resume" in line for line in lines)


def test_long_samples_are_cut() -> None:
    samples = [[("source", "a" * 401), ("output", "b" * 400)]]
    outcome = RunOutcome("translation", Path("r"), None, {}, samples)
    finished = RunFinished(8, "done", interrupted=False, outcome=outcome)
    _, sample, *_ = end_parts(finished, Path("r"))
    assert sample == [("source", f"{'a' * 399}…"), ("output", "b" * 400)]


def test_a_run_of_some_time_goes_on_for_some_time() -> None:
    outcome = RunOutcome("translation", Path("r"), None, {}, [])
    finished = RunFinished(8, "all steps done", False, outcome=outcome, time="90s")
    *_, longer = end_parts(finished, Path("r"), "--device", "cpu")
    assert longer == (
        "  transduce train --resume -o r --time 3m --device cpu  # trains for another 3m"
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective_says_what_to_type_next(objective: str) -> None:
    outcome = RunOutcome(objective, Path("r"), None, {}, [])
    finished = RunFinished(8, "done", interrupted=False, outcome=outcome)
    _, after, *commands = end_parts(finished, Path("r"))
    assert after == "next:"
    assert all("  transduce " in command for command in commands)
    assert all(" -m r" in command or " --init r " in command for command in commands)
    assert commands
