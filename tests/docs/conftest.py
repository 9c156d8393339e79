"""The folder in which pages are run."""

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.docs.workplace import fill


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fill(folder)
    return folder


@pytest.fixture
def workplace(filled, tmp_path, monkeypatch) -> Path:
    """A folder with the files and models that pages name, which is the current one."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSDUCE_DEVICE", "cpu")
    return tmp_path
