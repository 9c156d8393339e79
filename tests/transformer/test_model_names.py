"""Names of models: what is evidently a folder is told at once, with those that are near."""

import os
import subprocess
import sys

import pytest

from checkpoints import CheckpointError
from transduce import load
from transformer.errors import MissingModelError
from transformer.folder_search import FolderSearch, hub_cache
from transformer.model_names import check_model_name, is_hub_name, likely_model


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A current folder with runs and models, and a hub's cache."""
    for name in ("runs/en-de/run.json", "runs/en-fr/run.json", "runs/notes/a.txt", "m/config.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "hub" / "models--openai--gpt2").mkdir(parents=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("owner/name", True),
        ("owner/name@v1", True),
        ("./owner/name", False),
        ("../owner/name", False),
        ("owner/name/", False),
        ("/owner/name", False),
        ("~/owner", False),
        ("owner/name/more", False),
        ("runs/de", False),  # runs is a folder here
        ("name", False),
    ],
)
def test_what_is_evidently_a_folder_is_no_name_on_the_hub(name, possible, models):
    assert is_hub_name(name) == possible


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("runs/en-dd", "did you mean runs/en-de?"),
        ("rusn/en-de", "did you mean runs/en-de?"),
        ("rusn/en-ed/", "did you mean runs/en-de?"),
        ("runs/zh", "there are runs/en-de, runs/en-fr"),
        ("zh", "there are m"),
        ("gpt2", "did you mean openai/gpt2?"),
        ("owner/name", ""),
        ("runs/notes/zh", ""),
    ],
)
def test_a_missing_model_is_told_with_those_that_are_near(name, hint, models):
    assert likely_model(name) == hint


def test_some_of_many_models_are_named(models):
    for number in range(7):
        (models / "runs" / f"r{number}").mkdir()
        (models / "runs" / f"r{number}" / "run.json").touch()
    assert likely_model("runs/zh") == "there are runs/en-de, runs/en-fr, runs/r0 and 6 more"


def test_a_folder_that_is_there_and_a_name_that_the_hub_may_have_pass(models):
    for name in ("runs/en-de", "./runs/en-de/", "owner/name"):
        check_model_name(name)
    with pytest.raises(
        MissingModelError, match=r"^there is no folder \./no/such; give a model's or"
    ):
        check_model_name("./no/such")


@pytest.mark.parametrize("name", ["./owner/name", "owner/name/"])
def test_python_and_commands_do_not_ask_the_hub_for_a_folder(name, models, monkeypatch):
    monkeypatch.setattr("transformer.loading.model_folder.fetch_model", None)
    with pytest.raises(CheckpointError, match="there is no folder"):
        load(name)
    with pytest.raises(CheckpointError, match="there is no folder"):
        load("runs/en-de", draft=name)


VARIABLES = {
    "HF_HUB_CACHE": {"HF_HUB_CACHE": "/cache", "HF_HOME": "/other"},
    "HF_HOME": {"HF_HOME": "~/hf"},
    "XDG_CACHE_HOME": {"XDG_CACHE_HOME": "/xdg"},
    "none": {},
}


@pytest.mark.parametrize("named", VARIABLES)
def test_the_hub_s_cache_is_where_its_library_has_it(named):
    """Asked in a process of its own, for the library reads its settings when it is imported."""
    unset = ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HUGGINGFACE_HUB_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    program = (
        "import sys; from transformer.folder_search import hub_cache; print(hub_cache())\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "HOME": "/home/me", **VARIABLES[named]},
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = {
        "HF_HUB_CACHE": "/cache",
        "HF_HOME": "/home/me/hf/hub",
        "XDG_CACHE_HOME": "/xdg/huggingface/hub",
        "none": "/home/me/.cache/huggingface/hub",
    }
    assert done.stdout.split() == [wanted[named], "False"]
    assert hub_cache().is_absolute()


def test_a_search_ends_after_its_limits_and_says_so(tmp_path):
    for number in range(30):
        (tmp_path / f"{number:02}" / "in").mkdir(parents=True)
    whole = FolderSearch()
    assert len(whole.subfolders(tmp_path)) == 30
    assert not whole.is_cut
    few = FolderSearch(entries=30)
    assert len(few.subfolders(tmp_path)) == 30
    assert not few.is_cut
    assert few.subfolders(tmp_path / "00") == []
    assert few.is_cut
    late = FolderSearch(seconds=-1)
    assert not late.holds_model(tmp_path, 1)
    assert late.is_cut
    cut = FolderSearch(entries=7)
    cut.subfolders(tmp_path)
    assert cut.is_cut
