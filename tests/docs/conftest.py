"""The folder in which pages are run."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT
from tests.docs.workplace import fill
from transformer.training.planning import auto_recipe
from transformer.training.planning.speed import StepTime, measure_step


def measure_soon(*arguments: Any, seconds: float, **options: Any) -> StepTime:
    """Measure two steps of each setting of a run, not seven."""
    del seconds
    return measure_step(*arguments, seconds=0.0, **options)


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(auto_recipe, "measure_step", measure_soon)
        fill(folder)
    return folder


@pytest.fixture
def workplace(filled, tmp_path, monkeypatch) -> Path:
    """A folder with the files and models that pages name, which is the current one."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(auto_recipe, "measure_step", measure_soon)
    monkeypatch.setenv("TRANSDUCE_DEVICE", "cpu")
    return tmp_path
