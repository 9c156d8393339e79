"""Folders and files that are whole or not there, whatever stops their writer."""

import errno
import hashlib
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from checkpoints import (
    WEIGHTS,
    remove_leftovers,
    save_tensors,
    verify_checksums,
    write_file,
    write_folder,
)
from checkpoints.atomic_folder import MANIFEST
from checkpoints.errors import ForeignFolderError

TOUCHING = [
    (os, "fsync"),
    (shutil, "rmtree"),
]  # calls that reach the disk while a folder is written
TOUCHING += [(Path, name) for name in ("mkdir", "rename", "replace", "chmod", "write_text")]


class Killed(BaseException):
    """Stands for SIGKILL: see `interruptions`."""


def filler(text):
    def fill(folder):
        (folder / "a.txt").write_text(text)
        (folder / "inner").mkdir()
        (folder / "inner" / "b.txt").write_text(text * 2)

    return fill


def state_of(folder):
    """The text that `filler` filled a whole folder with; None where there is no folder."""
    if not folder.exists():
        return None
    assert {path.name for path in folder.iterdir()} == {"a.txt", "inner", MANIFEST}
    verify_checksums(folder)
    return (folder / "a.txt").read_text()


def interruptions(monkeypatch, work, *, killed):
    """Run work() again and again, stopped at its first disk call, then at its second, and so on.

    What work() does before it yields is not stopped. A killed process does nothing more: all later
    calls are stopped too, those that would tidy up among them. An error strikes once. Yields after
    each stop, until a run comes to its end.
    """
    for point in itertools.count():
        calls = itertools.count()

        def stopped(point=point, calls=calls):
            number = next(calls)
            if killed and number >= point:
                raise Killed
            if number == point:
                raise OSError(errno.ENOSPC, "No space left on device")

        steps = work()
        next(steps)
        with monkeypatch.context() as patch:
            for place, name in TOUCHING:
                patch.setattr(place, name, _before(stopped, getattr(place, name)))
            try:
                next(steps, None)
            except (Killed, OSError):
                pass
            else:
                return
        yield point


def _before(stopped, call):
    def checked(*arguments, **options):
        stopped()
        return call(*arguments, **options)

    return checked


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "model", filler("old"))
    return tmp_path / "model"


def test_a_folder_replaces_an_older_one_and_leaves_no_litter(folder):
    write_folder(folder, filler("new"))
    assert state_of(folder) == "new"
    assert [*folder.parent.iterdir()] == [folder]


def test_folders_above_are_made(tmp_path):
    write_folder(tmp_path / "a" / "b" / "model", filler("new"))
    assert state_of(tmp_path / "a" / "b" / "model") == "new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_fill_that_raises_leaves_the_old_folder_and_no_litter(folder, error):
    def fill(place):
        filler("new")(place)
        raise error

    with pytest.raises(error):
        write_folder(folder, fill)
    assert state_of(folder) == "old"
    assert [*folder.parent.iterdir()] == [folder]


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "error"])
@pytest.mark.parametrize("before", ["old", None])
def test_a_writer_stopped_at_any_point_leaves_a_whole_folder(tmp_path, monkeypatch, before, killed):
    """At once after an error; after a sweep, with which the next start begins, where it was killed.
    The sweep leaves no litter."""
    runs, wrong = tmp_path / "runs", []
    path = runs / "model"

    def write():
        shutil.rmtree(runs, ignore_errors=True)
        runs.mkdir()
        if before:
            write_folder(path, filler(before))
        yield
        write_folder(path, filler("new"))

    for point in interruptions(monkeypatch, write, killed=killed):
        left = sorted(place.name for place in runs.iterdir())
        whole = killed or state_of(path) in {before, "new"}
        remove_leftovers(runs)
        if not whole or state_of(path) not in {before, "new"} or {*runs.iterdir()} - {path}:
            wrong.append(f"stopped at call {point}, which left {left}")
    assert wrong == []
    assert state_of(path) == "new"


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "error"])
def test_a_writer_stopped_at_any_point_leaves_a_whole_file(tmp_path, monkeypatch, killed):
    path = tmp_path / "run.json"

    def write():
        path.write_text("old")
        yield
        write_file(path, "new é")

    for _ in interruptions(monkeypatch, write, killed=killed):
        assert path.read_text() in {"old", "new é"}
        if killed:
            remove_leftovers(tmp_path)
        assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "new é"


def test_contents_are_on_the_disk_before_their_names(tmp_path, monkeypatch):
    """Each file and folder is flushed before the renaming, and what holds them after it."""
    order = []
    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def name_of(descriptor):
        places = [tmp_path, *tmp_path.rglob("*")]
        return next(p.name for p in places if p.stat().st_ino == os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", lambda d: (order.append(name_of(d)), fsync(d)))
    for name, real in (("rename", rename), ("replace", replace)):

        def renamed(path, target, real=real):
            order.append("renamed")
            return real(path, target)

        monkeypatch.setattr(Path, name, renamed)
    write_folder(tmp_path / "model", filler("new"))
    before, after = order[: order.index("renamed")], order[order.index("renamed") + 1 :]
    pattern = f".model.{os.getpid()}.tmp"
    assert sorted(before) == sorted(["a.txt", "b.txt", "inner", MANIFEST, pattern])
    assert after == [tmp_path.name]
    order.clear()
    write_file(tmp_path / "run.json", "text")
    assert order == [f".run.json.{os.getpid()}.tmp", "renamed", tmp_path.name]


def test_what_this_program_did_not_write_is_not_replaced(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(ForeignFolderError, match="was not written by this program"):
            write_folder(tmp_path / name, filler("new"))
    assert (tmp_path / "file").read_text() == "mine"
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["a.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "model").mkdir()
    write_folder(tmp_path / "model", filler("new"))
    assert state_of(tmp_path / "model") == "new"


def test_a_folders_sums_are_those_of_its_files(folder):
    """Of folders inside of it, too; not its own."""
    entries = json.loads((folder / MANIFEST).read_text())
    assert {name: entry["bytes"] for name, entry in entries.items()} == {
        "a.txt": 3,
        "inner/b.txt": 6,
    }
    assert entries["a.txt"]["sha256"] == hashlib.sha256(b"old").hexdigest()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_have_the_mode_that_the_umask_asks_for(tmp_path, mask):
    old = os.umask(mask)
    try:
        write_folder(tmp_path / "model", lambda p: save_tensors(p / WEIGHTS, {"w": torch.ones(2)}))
        write_file(tmp_path / "model" / "run.json", "{}")
    finally:
        assert os.umask(old) == mask
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "model").iterdir()}
    assert modes == dict.fromkeys([WEIGHTS, MANIFEST, "run.json"], 0o666 & ~mask)
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o777 & ~mask


def test_sweeping_removes_litter_and_nothing_else(tmp_path):
    litter = [tmp_path / ".step-1.77.tmp", tmp_path / ".step-1.77.old.tmp"]
    kept = {tmp_path / name for name in ("step-1", ".hidden", "notes.tmp")}
    for path in [*litter, *kept]:
        path.mkdir()
        (path / "file").touch()
    (tmp_path / ".run.json.77.tmp").touch()
    remove_leftovers(tmp_path)
    assert {*tmp_path.iterdir()} == kept


def test_hidden_files_of_others_are_no_leftovers(tmp_path):
    """A run may be told to write to a folder that has other things in it."""
    mine = [tmp_path / name for name in (".draft.tmp", ".cache.tmp", ".tmp", ".a.b.tmp", ".5.tmp")]
    mine[1].mkdir()
    for path in mine[:1] + mine[2:]:
        path.touch()
    litter = [".run.json.5.tmp", ".step-1.removed.tmp", ".spool-ab.tmp", ".a\n.5.tmp"]
    for name in litter:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(mine)
