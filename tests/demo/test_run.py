"""The demo's script: its commands are the program's, and it replaces nothing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.reference import commands as program
from transformer.training.packaged_recipes import recipe_names

SCRIPT = Path(__file__).parents[2] / "demo" / "run.sh"
TEXT = SCRIPT.read_text(encoding="utf-8").replace("\\\n", " ")
CALLS = re.findall(r"^run transduce (.+)", TEXT, re.MULTILINE)


@pytest.mark.parametrize("call", CALLS)
def test_every_command_has_its_options(call: str) -> None:
    command = program()[call.split(maxsplit=1)[0]]
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?<= )--?[a-z-]+", call)) <= options
    assert "train " not in call or call.split()[1] in recipe_names()


def test_it_trains_two_models_and_has_both_write() -> None:
    kinds = [call.split()[0] for call in CALLS]
    assert kinds == ["train", "train", "translate", "generate", "generate", "evaluate"]


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no sh here")
def test_an_earlier_demos_models_stay(tmp_path: Path) -> None:
    for name in ("demo", "demo-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("python", "transduce"):  # which do nothing but say what they are told
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", SCRIPT], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert [*(tmp_path / "runs" / "demo").iterdir()] == []
    assert lines[-1].startswith("python demo/report.py runs/demo-3 programs/transduce ")
    shown = [line for line in done.stderr.splitlines() if line.startswith("$ transduce ")]
    assert len(shown) == len(CALLS)
