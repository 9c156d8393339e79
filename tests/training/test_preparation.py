"""Prepared text: what is left out and counted, what belongs to which text, and damage to it."""

import gzip
import io
import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from checkpoints import CheckpointError, ForeignFolderError, write_file
from tests.training.toys import toy_recipe
from tokenizer import CorpusError, Spool, Tokenizer, TrainingOptions, train_tokenizer
from transformer.data import TokenStore
from transformer.errors import ConfigError
from transformer.training import text_identity
from transformer.training.data_report import looks_like_header
from transformer.training.encoding import read_kept_pairs
from transformer.training.events import DataPrepared, Notice
from transformer.training.objectives import OBJECTIVES
from transformer.training.preparation import Preparation
from transformer.training.prepared_folder import DATA, TOKENIZER
from transformer.training.recipe import Recipe, TokenizerRecipe, recipe_to_toml
from transformer.training.recipe_resolution import check_unchanged, resolve_recipe
from transformer.training.run_folder import create_run_folder
from transformer.training.run_recipe import RECIPE
from transformer.training.text_identity import absolute_paths


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def write(path: Path, lines: list[str]) -> list[str]:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return [str(path)]


def recipe_of(folder: Path, train: list[tuple], valid: list[tuple] = (), **data: object) -> Recipe:
    """A recipe of these pairs, with a tokenizer of single characters."""
    files = {}
    for part, pairs in (("", train), ("valid_", valid)):
        for side, lines in zip(("source", "target"), zip(*pairs, strict=True), strict=False):
            files[part + side] = write(folder / f"{part}{side}.txt", lines)
    fields = {"data": {**files, **data}, "tokenizer": {"kind": "char"}}
    return resolve_recipe(None, fields, [])


def prepare(recipe: Recipe, run: Path, *, resume: bool = False, initial=None) -> list:
    """The events of preparing the text as a run does."""
    run.mkdir(exist_ok=True)
    if resume:
        check_unchanged(run, recipe)
    preparation = Preparation(recipe, run, resuming=resume, initial=initial)
    preparation.check()
    write_file(run / RECIPE, recipe_to_toml(absolute_paths(recipe)))
    with preparation.spool:
        return list(preparation.events(preparation.tokenizer()))


def report(events: list) -> DataPrepared:
    (event,) = [event for event in events if isinstance(event, DataPrepared)]
    return event


def notices(events: list) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Notice))


def ids(run: Path) -> dict[str, bytes]:
    """The prepared files that hold ids or text."""
    files = sorted((run / DATA).rglob("*"))
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in files
        if path.is_file() and path.name not in {"prepared.json", "manifest.json"}
    }


def rows(run: Path, part: str) -> list[tuple[str, str]]:
    tokenizer = Tokenizer.load(run / TOKENIZER)
    stores = [TokenStore(run / DATA / part / side) for side in ("source", "target")]
    sides = [[tokenizer.decode(store[i]) for i in range(len(store))] for store in stores]
    return list(zip(*sides, strict=True))


BLANKS = ["", " ", "\t", "\u3000", "\xa0 \u2003", "\u200b", "\ufeff", "\0", " \u200d\u2060\xad"]


@pytest.mark.parametrize("blank", BLANKS)
def test_pairs_with_a_blank_side_are_left_out_of_both_parts_and_counted(tmp_path, blank) -> None:
    long = ("a" * 200, "x" * 200)
    pairs = [long, (blank, "y"), ("b", blank), (blank, blank), ("c", "z")]
    for part in report(prepare(recipe_of(tmp_path, pairs, pairs), tmp_path / "run")):
        assert (part.kept, part.left_out, part.examples) == (2, {"blank": 3}, 5)
    for part in ("train", "valid"):
        assert rows(tmp_path / "run", part) == [long, ("c", "z")]
    assert read_kept_pairs(tmp_path / "run" / DATA / "valid", 9) == [long, ("c", "z")]
    assert blank not in Tokenizer.load(tmp_path / "run" / TOKENIZER).backend.get_vocab()


@pytest.mark.parametrize("part", ["training", "validation"])
def test_what_a_model_cannot_read_is_left_out_and_counted_by_reason(tmp_path, part) -> None:
    """Of 8 tokens the end token is one; what is scored is what the loss sees."""
    known = [("abcdef", "xyz")] * 9
    pairs = [
        ("a" * 7, "x"),
        ("a" * 8, "x"),
        ("a", "x" * 8),
        ("好好", "x"),
        ("a", "好"),
        ("b好", "x"),
        ("好c", "x"),
    ]
    train, valid = (known + pairs, known) if part == "training" else (known, pairs)
    recipe = recipe_of(tmp_path, train, valid, max_tokens=8)
    recipe = msgspec.structs.replace(recipe, tokenizer=latin(tmp_path))
    counts = getattr(report(prepare(recipe, tmp_path / "run")), part)
    assert counts.left_out == {"too long": 2, "unreadable": 2}
    assert counts.longest == 8
    name = {"training": "train", "validation": "valid"}[part]
    assert [pair for pair in rows(tmp_path / "run", name) if pair != known[0]] == [
        ("a" * 7, "x"),
        ("b", "x"),
        ("c", "x"),
    ]
    if part == "validation":
        kept = read_kept_pairs(tmp_path / "run" / DATA / "valid", 9)
        assert kept == [("a" * 7, "x"), ("b好", "x"), ("好c", "x")]
    assert counts.unknown["source"].unknown == 4
    assert counts.unknown["source"].most_frequent == ["好"]


def latin(folder: Path) -> TokenizerRecipe:
    """A tokenizer that knows a to z."""
    path = folder / "latin.json"
    train_tokenizer(
        ["abcdefghijklmnopqrstuvwxyz "], TrainingOptions(kind="char", min_frequency=1)
    ).save(path)
    return TokenizerRecipe(path=str(path))


def test_repeats_overlap_headers_and_files_are_counted(tmp_path: Path) -> None:
    train = [("Source", "target"), ("a", "x"), ("a", "x"), ("a", "y"), ("b", "z"), ("a", "x")]
    valid = [("a", "x"), ("a", "z"), ("b", "x"), ("a", "x")]
    training, validation = report(prepare(recipe_of(tmp_path, train, valid), tmp_path / "run"))
    assert (training.kept, training.repeats, training.in_training) == (6, 2, 0)
    assert (validation.repeats, validation.in_training, validation.sources_in_training) == (1, 2, 4)
    name = f"{tmp_path}/source.txt and {tmp_path}/target.txt"
    assert training.headers == [f"{name}: Source | target"]
    assert validation.headers == []
    assert [(file.name, file.examples) for file in training.files] == [(name, 6)]


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (["source", "target"], True), (["en", "de"], True), (["Source text", "Translation"], True),
        (["English", "Deutsch"], True), (['"src"', '"tgt"'], True), (["en_US", "de"], True),
        (["A dog.", "Ein Hund."], False), (["source", "ein Hund"], False), (["a", "x"], False),
        (["1", "2"], False), (["yes", "ja"], False),
    ],
)  # fmt: skip
def test_first_rows_that_name_columns_are_suspected(cells, header) -> None:
    assert looks_like_header(cells) == header


def test_tables_are_counted_file_by_file(tmp_path: Path) -> None:
    files = [*write(tmp_path / "a.tsv", ["en\tde", "a\tx"]), *write(tmp_path / "b.tsv", ["b\tz"])]
    fields = {"data": {"pairs": files}, "tokenizer": {"kind": "char"}}
    training = report(prepare(resolve_recipe(None, fields, []), tmp_path / "run")).training
    assert [(file.name, file.examples) for file in training.files] == list(
        zip(files, [2, 1], strict=True)
    )
    assert training.headers == [f"{files[0]}: en | de"]


# ── the validation part of pairs ────────────────────────────────────────────────────────────────


def drawn(folder: Path, pairs: list[tuple[str, str]], *, seed: int = 1, fraction=0.2) -> list:
    recipe = recipe_of(folder, pairs, valid_fraction=fraction)
    recipe = msgspec.structs.replace(recipe, seed=seed)
    shutil.rmtree(folder / "run", ignore_errors=True)
    prepare(recipe, folder / "run")
    parts = [rows(folder / "run", part) for part in ("train", "valid")]
    assert sorted(parts[0] + parts[1]) == sorted(pairs)
    assert parts[1] == read_kept_pairs(folder / "run" / DATA / "valid", len(pairs))
    return parts


def test_validation_pairs_are_drawn_by_seed_and_source_and_stay_together(tmp_path: Path) -> None:
    pairs = [(f"s{n // 3}", f"t{n}") for n in range(600)]  # three targets of each source
    train, valid = drawn(tmp_path, pairs)
    assert 0.1 < len(valid) / 600 < 0.3
    assert not {source for source, _ in train} & {source for source, _ in valid}
    assert valid != pairs[-len(valid) :]  # not the end
    assert sorted(drawn(tmp_path, pairs[::-1])[1]) == sorted(valid)  # the order does not matter
    assert set(drawn(tmp_path, pairs[:300])[1]) <= set(valid)  # nor do other pairs
    assert drawn(tmp_path, pairs, seed=2)[1] != valid


def test_few_pairs_give_one_source_to_validation_and_one_source_none(tmp_path: Path) -> None:
    pairs = [("a b", "x y"), ("b a", "y x"), ("a b", "y"), ("b", "x")]
    _, valid = drawn(tmp_path, pairs, fraction=1e-9)
    assert len({source for source, _ in valid}) == 1
    assert drawn(tmp_path, [("a", "x"), ("a", "y")], fraction=1e-9)[1] == []


# ── identity of text ────────────────────────────────────────────────────────────────────────────


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
    key = "source" if objective == "translation" else "text"
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


# ── damage ──────────────────────────────────────────────────────────────────────────────────────


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
    """Damage each file below data/ and the tokenizer in turn: all ids come back as they were."""
    recipe, run = toy_recipe(folder, objective), folder / "run"
    prepare(recipe, run)
    whole, before = folder / "whole", ids(run)
    shutil.copytree(run, whole)
    tokenizer = (run / TOKENIZER).read_bytes()
    files = [p for p in sorted(run.rglob("*")) if p.is_file() and p.name != RECIPE]
    assert len(files) > 6
    for number, path in enumerate(files):
        for damage, at in damages(number):
            damage(path, at)
            told = notices(prepare(recipe, run, resume=True))
            assert ids(run) == before, path
            assert (run / TOKENIZER).read_bytes() == tokenizer
            assert ("prepared anew" in told) == (path.parent != run), (path, told)
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


def test_letters_of_a_drawn_pair_alone_do_not_stop_training(tmp_path) -> None:
    recipe = recipe_of(tmp_path, [("aaa", "x"), ("bbb", "x")], valid_fraction=0.1)
    both = report(prepare(recipe, tmp_path / "run"))
    assert (both.training.unknown["source"].share, both.validation.unknown["source"].share) == (
        0,
        1,
    )
    named = recipe_of(tmp_path, [("aaa", "x")], [("bbb", "x")])
    with pytest.raises(CorpusError, match="does not know 100% of the characters in the validation"):
        prepare(named, tmp_path / "other")


def test_a_document_that_is_cut_for_validation_counts_in_both_parts(tmp_path) -> None:
    path = write(tmp_path / "book.txt", [f"line {n} of the book" for n in range(100)])
    fields = {"data": {"text": path, "valid_fraction": 0.2}, "tokenizer": {"kind": "char"}}
    recipe = resolve_recipe(None, {"objective": "language-model", **fields}, [])
    both = report(prepare(recipe, tmp_path / "run"))
    for part in (both.training, both.validation):
        assert (part.kept, part.longest, part.files[0].examples) == (1, part.tokens, 1)


def test_copies_of_a_killed_run_are_removed_by_the_next(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\n")))
    spool = Spool(tmp_path)
    with spool:
        spool.paths(["-"])
        create_run_folder(tmp_path)
        assert not [path for path in tmp_path.iterdir() if "spool" in path.name]


def test_a_tokenizer_that_is_no_text_is_one_line(recipe, run) -> None:
    shutil.rmtree(run / DATA)
    (run / TOKENIZER).write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"tokenizer.json is damaged: it is not UTF-8"):
        prepare(recipe, run, resume=True)


def test_a_damaged_tokenizer_is_restored_and_two_damaged_ones_are_an_error(recipe, run) -> None:
    flip(run / TOKENIZER, 0.5)
    flip(run / DATA / TOKENIZER, 0.9)
    with pytest.raises(CheckpointError, match=r"tokenizer.json is damaged, and so is its copy"):
        prepare(recipe, run, resume=True)
    shutil.rmtree(run / DATA)  # then nothing says that it is damaged
    (run / TOKENIZER).unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer.json is missing"):
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


# ── unknown text ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("part", ["training", "validation"])
def test_text_that_is_mostly_unknown_stops_before_training(tmp_path, side, part) -> None:
    known = [("ab cd", "ab cd")] * 4
    strange = [("ab", "Это")[:: 1 if side else -1]] * 7
    train, valid = (known + strange, known) if part == "training" else (known, strange)
    recipe = msgspec.structs.replace(recipe_of(tmp_path, train, valid), tokenizer=latin(tmp_path))
    name = ("source", "target")[side]
    with pytest.raises(CorpusError) as error:
        prepare(recipe, tmp_path / "run")
    assert f"characters in the {part} {name} text (т о Э …)" in str(error.value).replace(
        "Э т о", "т о Э"
    )
    assert "leave --tokenizer out" in str(error.value)
    assert "data.max_unknown=1" in str(error.value)
    assert not (tmp_path / "run" / DATA).exists()
    data = msgspec.structs.replace(recipe.data, max_unknown=1.0)
    counts = getattr(
        report(prepare(msgspec.structs.replace(recipe, data=data), tmp_path / "run")), part
    )
    assert counts.unknown[name].share > 0.5


def test_the_way_on_depends_on_where_the_tokenizer_comes_from(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, [("".join(map(chr, range(0x4E00, 0x4F00))), "ab")] * 3)
    small = TokenizerRecipe(kind="char", vocab_size=20)
    with pytest.raises(CorpusError, match=r"tokenizer.kind to byte-bpe.*tokenizer.vocab_size"):
        prepare(msgspec.structs.replace(recipe, tokenizer=small), tmp_path / "run")
    initial = Tokenizer.load(Path(latin(tmp_path).path))
    with pytest.raises(CorpusError, match=r"start from a model whose tokenizer .*without --init"):
        prepare(recipe, tmp_path / "run", initial=initial)
