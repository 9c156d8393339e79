"""The pages that add something: their changes to a copy of the project do what they say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.add_one import apply
from tests.docs.blocks import CHANGES, ROOT

COPIED = ("checkpoints", "cli", "demo", "tests", "tokenizer", "transduce", "transformer")


@pytest.mark.slow
@pytest.mark.integration
def test_the_changes_that_pages_make_do_what_they_say(filled, tmp_path, monkeypatch) -> None:
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, tmp_path)
    shutil.copytree(filled / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "tests.docs.add_one", *map(str, sorted(CHANGES))]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TRANSDUCE_DEVICE": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_a_diff_changes_what_occurs_once(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a\n\nb\nc\n")
    apply(" a\n\n-b\n+x\n@@\n c\n+d\n", file)
    assert file.read_text() == "a\n\nx\nc\nd\n"
    with pytest.raises(AssertionError, match="has 0 times\nb"):
        apply("-b\n", file)
    file.write_text("a\na\n")
    with pytest.raises(AssertionError, match="has 2 times\na"):
        apply(" a\n+b\n", file)
