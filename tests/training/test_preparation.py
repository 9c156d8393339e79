"""Prepared text: what belongs to which text."""

import gzip
import io
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.training.preparing import ids, latin, notices, prepare, recipe_of, report, write
from tests.training.toys import toy_recipe
from tokenizer import (
    CorpusError,
    TrainingOptions,
    train_tokenizer,
)
from transformer.errors import ConfigError
from transformer.folder_layout import DATA
from transformer.training import text_identity
from transformer.training.objectives import OBJECTIVES
from transformer.training.recipe import Recipe, TokenizerRecipe
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run_recipe import RECIPE


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with prepared text: `recipe` and `before` belong to it."""
    prepare(toy_recipe(tmp_path), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return toy_recipe(tmp_path)


def renamed(recipe: Recipe, change: Callable[[str], str]) -> Recipe:
    paths = {
        key: [change(path) for path in getattr(recipe.data, key)] for key in ("source", "target")
    }
    return msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, **paths))


def test_unchanged_text_is_not_prepared_again(recipe, run, tmp_path) -> None:
    assert prepare(recipe, run, resume=True) == []
    for path in tmp_path.glob("toy.*"):
        os.utime(path, ns=(0, 0))
        assert prepare(recipe, run, resume=True) == []


@pytest.mark.parametrize(("seconds", "read"), [(0, 2), (10, 0)])
def test_files_are_not_read_again_unless_they_had_just_changed(
    monkeypatch, recipe, tmp_path, seconds, read
) -> None:
    """As in git's index: a file could change once more without changing its times."""
    times = text_identity.time_ns
    monkeypatch.setattr(text_identity, "time_ns", lambda: times() + seconds * 10**9)
    prepare(recipe, tmp_path / "run")
    sums, read_text = [], text_identity._text_sum
    monkeypatch.setattr(
        text_identity, "_text_sum", lambda path: sums.append(path) or read_text(path)
    )
    assert prepare(recipe, tmp_path / "run", resume=True) == []
    assert len(sums) == read
    path = Path(recipe.data.target[0])
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"one", b"eon"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert str(path) in notices(prepare(recipe, tmp_path / "run", resume=True))


def test_changed_text_of_the_same_size_and_time_is_prepared_anew_and_named(recipe, run) -> None:
    before = ids(run)
    path = Path(recipe.data.target[0])
    times = path.stat()
    path.write_bytes(path.read_bytes().replace(b"seven", b"heaven"[1:]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    events = prepare(recipe, run, resume=True)
    assert notices(events).startswith(f"{path} changed since the ids in {run / DATA} were written")
    assert report(events).training.kept > 0
    assert ids(run) != before
    assert prepare(recipe, run, resume=True) == []


@pytest.mark.parametrize("way", ["moved", "relative", "dotted", "linked", "packed"])
def test_the_same_text_by_another_name_goes_on(monkeypatch, recipe, run, tmp_path, way) -> None:
    before, folder = ids(run), tmp_path / "elsewhere"
    folder.mkdir()

    def change(path: str) -> str:
        new = folder / Path(path).name
        if way == "moved":
            shutil.move(path, new)
        elif way == "linked":
            new.symlink_to(path)
        elif way == "packed":
            new = new.with_name(new.name + ".gz")
            new.write_bytes(gzip.compress(Path(path).read_bytes()))
        else:
            monkeypatch.chdir(tmp_path)
            return Path(path).name if way == "relative" else f"./elsewhere/../{Path(path).name}"
        return str(new)

    assert prepare(renamed(recipe, change), run, resume=True) == []
    assert ids(run) == before
    monkeypatch.chdir("/")
    assert prepare(resolve_recipe(None, {}, [], resumed=run), run, resume=True) == []


def test_another_text_by_another_name_is_refused(recipe, run, tmp_path) -> None:
    kept = (run / RECIPE).read_text()
    other = write(tmp_path / "other.src", ["1 2 3"] * 120)[0]
    with pytest.raises(ConfigError, match=r"was started with another text than .*other\.src"):
        prepare(renamed(recipe, lambda p: other if p.endswith("src") else p), run, resume=True)
    more = msgspec.structs.replace(recipe.data, source=[*recipe.data.source, other])
    with pytest.raises(ConfigError, match=r"was started with another text than .*other\.src"):
        prepare(msgspec.structs.replace(recipe, data=more), run, resume=True)
    assert (run / RECIPE).read_text() == kept


def test_a_run_goes_on_with_its_ids_where_the_text_is_gone(recipe, run) -> None:
    before = ids(run)
    for path in (recipe.data.source[0], recipe.data.target[0]):
        Path(path).unlink()
    told = notices(prepare(recipe, run, resume=True))
    assert told == (
        f"{recipe.data.source[0]}, {recipe.data.target[0]} cannot be read again: going on with "
        f"the ids of it in {run / DATA}"
    )
    assert ids(run) == before


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_text_of_a_pipe_is_prepared_and_a_resumed_run_does_without(tmp_path, objective) -> None:
    recipe, pipe = toy_recipe(tmp_path, objective), tmp_path / "pipe"
    key = OBJECTIVES[objective].texts[0]
    (path,) = getattr(recipe.data, key)
    prepare(recipe, tmp_path / "run")
    os.mkfifo(pipe)
    data = msgspec.structs.replace(recipe.data, **{key: [str(pipe)]})
    piped = msgspec.structs.replace(recipe, data=data)
    writer = threading.Thread(target=lambda: pipe.write_bytes(Path(path).read_bytes()))
    writer.start()
    events = prepare(piped, tmp_path / "piped")
    writer.join()
    assert str(pipe) in report(events).training.files[0].name
    assert ids(tmp_path / "piped") == ids(tmp_path / "run")
    told = notices(prepare(piped, tmp_path / "piped", resume=True))
    assert told.startswith(f"{pipe} cannot be read again: going on with the ids")
    assert prepare(recipe, tmp_path / "piped", resume=True) == []  # the same text in a file


@pytest.mark.parametrize("key", ["pairs", "valid_pairs"])
def test_pairs_from_stdin_are_prepared(monkeypatch, tmp_path, key) -> None:
    table = write(tmp_path / "p.tsv", ["a b\tb a", "b\ta"])
    stdin = io.TextIOWrapper(io.BytesIO(Path(table[0]).read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    files = {"pairs": table, key: ["-"]}
    recipe = resolve_recipe(None, {"data": files, "tokenizer": {"kind": "char"}}, [])
    events = prepare(recipe, tmp_path / "run")
    part = report(events)[key == "valid_pairs"]
    assert (part.files[0].name, part.kept) == ("-", 2)
    assert "-" in notices(prepare(recipe, tmp_path / "run", resume=True))


def test_text_that_changes_while_it_is_read_is_an_error(monkeypatch, recipe, tmp_path) -> None:
    objective = OBJECTIVES["translation"]
    real = type(objective).prepare

    def append(self, *arguments):
        result = real(self, *arguments)
        with Path(recipe.data.source[0]).open("a") as stream:
            stream.write("1\n")
        return result

    monkeypatch.setattr(type(objective), "prepare", append)
    with pytest.raises(CorpusError, match=r"toy\.src changed while it was read: start again"):
        prepare(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / DATA).exists()


def test_the_same_tokenizer_may_move_and_another_may_not(tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(
        recipe_of(tmp_path, [("a", "b")] * 3), tokenizer=latin(tmp_path)
    )
    prepare(recipe, tmp_path / "run")
    copy = shutil.copy(tmp_path / "latin.json", tmp_path / "copy.json")
    moved = msgspec.structs.replace(recipe, tokenizer=TokenizerRecipe(path=str(copy)))
    assert prepare(moved, tmp_path / "run", resume=True) == []
    train_tokenizer(["abc"], TrainingOptions(kind="char")).save(Path(copy))
    assert prepare(moved, tmp_path / "run", resume=True) == []  # the run has its own
    other = shutil.copy(copy, tmp_path / "other.json")
    moved = msgspec.structs.replace(recipe, tokenizer=TokenizerRecipe(path=str(other)))
    with pytest.raises(ConfigError, match=r"was started with another tokenizer than .*other"):
        prepare(moved, tmp_path / "run", resume=True)
