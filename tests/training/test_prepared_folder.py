"""The folder of prepared text: damage to it, files of others in it, and earlier versions of it."""

import io
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from checkpoints import CheckpointError, ForeignFolderError
from tests.training.preparing import ids, notices, prepare
from tests.training.toys import toy_recipe
from tokenizer import (
    CorpusError,
    Spool,
    TokenizerError,
)
from transformer.folder_layout import DATA
from transformer.training.objectives import OBJECTIVES
from transformer.training.prepared_folder import TOKENIZER
from transformer.training.recipe import Recipe
from transformer.training.run_folder import create_run_folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with prepared text: `recipe` and `before` belong to it."""
    prepare(toy_recipe(tmp_path), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return toy_recipe(tmp_path)


def flip(path: Path, at: float) -> None:
    contents = bytearray(path.read_bytes())
    contents[int(at * (len(contents) - 1))] ^= 1 << int(at * 7)
    path.write_bytes(contents)


def cut(path: Path, at: float) -> None:
    path.write_bytes(path.read_bytes()[: int(at * (path.stat().st_size - 1))])


def delete(path: Path, at: float) -> None:
    del at
    path.unlink()


DAMAGES = [(flip, 0.0), (cut, 0.9), (delete, 0.0), (flip, 0.5), (cut, 0.0), (flip, 0.97)]


def check_damages(folder: Path, objective: str, damages: Callable[[int], list]) -> None:
    """Damage each file below data/ in turn: all ids come back as they were."""
    recipe, run = toy_recipe(folder, objective), folder / "run"
    prepare(recipe, run)
    whole, before = folder / "whole", ids(run)
    shutil.copytree(run, whole)
    tokenizer = (run / TOKENIZER).read_bytes()
    files = [p for p in sorted((run / DATA).rglob("*")) if p.is_file()]
    assert len(files) > 5
    for number, path in enumerate(files):
        for damage, at in damages(number):
            damage(path, at)
            told = notices(prepare(recipe, run, resume=True))
            assert ids(run) == before, path
            assert (run / TOKENIZER).read_bytes() == tokenizer
            assert "prepared anew" in told, (path, told)
            shutil.rmtree(run)
            shutil.copytree(whole, run)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_damaged_files_are_prepared_again_and_it_is_said(tmp_path, objective) -> None:
    check_damages(tmp_path, objective, lambda number: [DAMAGES[number % 4]])


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_file_damaged_in_each_way_is_prepared_again(tmp_path, objective) -> None:
    chance = random.Random(1)
    check_damages(
        tmp_path, objective, lambda _: DAMAGES + [(flip, chance.random()) for _ in range(20)]
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_damaged_record_of_the_text_does_not_take_it_for_another(tmp_path, objective) -> None:
    recipe, run = toy_recipe(tmp_path, objective), tmp_path / "run"
    prepare(recipe, run)
    record, before = run / DATA / "prepared.json", ids(run)
    whole = record.read_bytes()
    for name in (b'"source"', b'"text"', b'"texts"', b'"sha256"', b'"path"'):
        for at in (place.start() + 2 for place in re.finditer(name, whole)):
            record.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            told = notices(prepare(recipe, run, resume=True))
            assert "prepared anew" in told
            assert "changed" not in told
            assert ids(run) == before


def test_damaged_ids_without_their_text_are_one_clear_error(recipe, run) -> None:
    flip(run / DATA / "train" / "source" / "ids.uint16", 0.5)
    Path(recipe.data.source[0]).unlink()
    with pytest.raises(CorpusError, match=r"ids.uint16 is damaged: .*; that needs .*toy.src"):
        prepare(recipe, run, resume=True)


def test_a_further_file_of_ids_counts_as_damage_and_hidden_files_do_not(recipe, run) -> None:
    before = ids(run)
    (run / DATA / "train" / "source" / "ids.uint32").write_bytes(b"1234")
    assert "ids.uint32 is not one of the files" in notices(prepare(recipe, run, resume=True))
    assert ids(run) == before
    (run / DATA / ".DS_Store").write_bytes(b"1")
    (run / DATA / "notes.txt").write_bytes(b"1")
    assert prepare(recipe, run, resume=True) == []


@pytest.mark.parametrize(
    ("name", "resume"),
    [
        ("train.txt", False),
        ("train.txt", True),
        ("pairs.jsonl", False),
        ("pairs.jsonl", True),
        ("valid/pairs.jsonl", True),
        ("tokenizer.json", False),
    ],
)
def test_files_of_others_in_the_way_are_not_deleted(recipe, run, name, resume) -> None:
    shutil.rmtree(run / DATA)
    mine = run / DATA / name
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    with pytest.raises(ForeignFolderError, match=rf"data/{name} is not of this program"):
        prepare(recipe, run, resume=resume)
    assert mine.read_text() == "{}"


def test_copies_of_a_killed_run_are_removed_by_the_next(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\n")))
    spool = Spool(tmp_path)
    with spool:
        spool.paths(["-"])
        create_run_folder(tmp_path)
        assert not [path for path in tmp_path.iterdir() if "spool" in path.name]


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"\xff\xfe"), Path.unlink])
def test_a_tokenizer_that_nothing_restores_is_one_line(recipe, run, damage) -> None:
    """A run's own state does: see test_run_recovery.py."""
    damage(run / TOKENIZER)
    with pytest.raises((CheckpointError, TokenizerError), match=r"tokenizer.json is (no|missing)"):
        prepare(recipe, run, resume=True)


def test_ids_of_an_earlier_version_are_prepared_anew_and_it_is_said(recipe, run) -> None:
    shutil.rmtree(run / DATA)
    (run / DATA).mkdir()
    (run / DATA / "done.json").write_text("{}")
    told = notices(prepare(recipe, run, resume=True))
    assert "of an earlier version, which drew other validation pairs: the text is prepared" in told
    assert prepare(recipe, run, resume=True) == []


def test_data_may_be_a_link_to_another_disk(recipe, run, tmp_path) -> None:
    shutil.rmtree(run / DATA)
    (tmp_path / "disk").mkdir()
    (run / DATA).symlink_to(tmp_path / "disk")
    prepare(recipe, run, resume=True)
    assert (run / DATA).is_symlink()
    assert (tmp_path / "disk" / "manifest.json").is_file()
    assert prepare(recipe, run, resume=True) == []
