"""Outputs never take the place of files that belong to runs and models."""

import shutil
from pathlib import Path

import pytest

from cli.io.output_checks import check_files, check_folder, check_run_folder
from cli.io.owned_files import owner_of
from tokenizer import TOKENIZER_FILES
from transformer.chat.template import CHAT_FILES
from transformer.errors import ConfigError
from transformer.export.convert import convert_model
from transformer.loading import find_model
from transformer.loading.pooling_config import POOLING_FILES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def run(translator, tmp_path_factory):
    """A run's folder, which a test may change."""
    return Path(shutil.copytree(translator, tmp_path_factory.mktemp("copy") / "run"))


@pytest.fixture(scope="module")
def published(run, tmp_path_factory):
    """A model in a published format, without a manifest."""
    folder = tmp_path_factory.mktemp("published") / "model"
    convert_model(run, folder, to="huggingface")
    (folder / "manifest.json").unlink()
    return folder


def refused(path: Path) -> bool:
    try:
        check_files(path, [])
    except ConfigError:
        return True
    return False


@pytest.mark.parametrize("kind", ["run", "published"])
def test_no_file_of_a_run_or_a_model_is_replaced(request, tmp_path, kind):
    folder = request.getfixturevalue(kind)
    (tmp_path / "link").symlink_to(folder)
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [str(name) for name in files if not refused(folder / name)] == []
    assert [str(name) for name in files if not refused(tmp_path / "link" / name)] == []
    (tmp_path / "out.txt").symlink_to(folder / files[0])
    assert refused(tmp_path / "out.txt")


def test_a_new_file_that_a_model_would_be_read_from_is_refused_too(published):
    pooling = [pattern.replace("*", "1_Pooling") for pattern in POOLING_FILES]
    names = [*TOKENIZER_FILES, *CHAT_FILES, *pooling, "pytorch_model.bin", "generation_config.json"]
    assert [name for name in names if owner_of(published / name) is None] == []


def test_a_users_own_files_beside_them_are_written(run, published, tmp_path):
    (run / "export").mkdir()
    for folder in (run, run / "export", published):
        for name in ("hyp.txt", "hyp.jsonl.gz", "scores", "test.de", "data.tsv"):
            assert not refused(folder / name), name
    (tmp_path / "manifest.json").write_text('{"name": "a web page", "icons": {}}')
    (tmp_path / "config.json").write_text("{}")
    assert not refused(tmp_path / "config.json")
    assert not refused(tmp_path / "manifest.json")


def test_what_a_manifest_has_sums_of_is_not_replaced_whatever_it_is(tmp_path):
    (tmp_path / "manifest.json").write_text('{"notes.txt": {"sha256": "0", "size": 1}}')
    assert refused(tmp_path / "notes.txt") and refused(tmp_path / "manifest.json")
    assert not refused(tmp_path / "others.txt")


def test_the_commands_obey(transduce, run, published, tmp_path):
    tokenizer = (run / "tokenizer.json").read_bytes()
    for out in (run / "tokenizer.json", published / "spiece.model", published / "vocab.json"):
        ended = transduce("tokenizer", "train", "-o", out, stdin=b"some text\n" * 9)
        assert (ended.code, ended.err.count(b"\n")) == (2, 1)
        assert (b"the run " if run in out.parents else b"the model ") in ended.err
    assert (run / "tokenizer.json").read_bytes() == tokenizer
    ended = transduce("translate", "-m", run, "-o", run / "run.json", stdin=b"one two\n")
    assert (ended.code, b"is a part of the run" in ended.err) == (2, True)
    (tmp_path / "terms.tsv").write_text("one\tseven\n")
    (tmp_path / "link.tsv").hardlink_to(tmp_path / "terms.tsv")
    terms = ("--glossary", tmp_path / "terms.tsv", "-o", tmp_path / "link.tsv")
    ended = transduce("translate", "-m", run, *terms, stdin=b"one two\n")
    assert (ended.code, b"is an input file" in ended.err) == (3, True)
    own = tmp_path / "t.json"
    own.write_bytes(tokenizer)
    assert transduce("tokenizer", "encode", "-t", own, "-o", own, stdin=b"one\n").code == 3
    assert own.read_bytes() == tokenizer


def test_a_folder_replaces_neither_its_input_nor_a_part_of_a_run(run, published, tmp_path):
    model = find_model(run)
    (tmp_path / "link").symlink_to(model)
    for out in (run, model, tmp_path / "link"):
        with pytest.raises(ConfigError, match=r"would replace .* read"):
            check_folder(out, [model])
    check_folder(run / "averaged", [run])
    for name in ("m.onnx", "m.GGUF", "m.gz"):
        with pytest.raises(ConfigError, match="writes a folder"):
            check_folder(tmp_path / name)
    check_folder(tmp_path / "v1.5")
    with pytest.raises(ConfigError, match="holds a model"):
        check_run_folder(published)
    check_run_folder(run)


PARTS = ("data", "data/train", "checkpoints", "checkpoints/step-99999999", "training/step-00000001",
         "data/a/b/c/d/e", "checkpoints/step-mean")  # fmt: skip


def refused_by(check, *arguments) -> bool:
    try:
        check(*arguments)
    except ConfigError as error:
        return "a part of the run" in str(error)
    except OSError:
        return False
    return False


@pytest.mark.parametrize("mark", ["run.lock", "run.json", "checkpoints/step-00000007"])
def test_nothing_is_written_below_what_a_run_keeps_for_itself(tmp_path, mark):
    """A run removes and reads there by name: a model that is named like a step vanished."""
    run, disk, link = tmp_path / "run", tmp_path / "disk", tmp_path / "link"
    for folder in (run / "data" / "train", run / "training", run / "export", disk):
        folder.mkdir(parents=True)
    (run / "checkpoints").symlink_to(disk)
    (run / mark).mkdir()
    link.symlink_to(run)
    (tmp_path / "new").symlink_to(run / "data" / "new")
    (tmp_path / "step").symlink_to(link / "checkpoints" / "step-00000009")
    paths = [base / part for base in (run, link, run / "export" / "..") for part in PARTS]
    for path in [*paths, tmp_path / "new", tmp_path / "step"]:
        assert refused_by(check_folder, path), path
        assert refused_by(check_run_folder, path / "run"), path
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            assert refused(path), path
        assert not path.is_dir() or refused(path / "hyp.txt"), path
    for path in (run / "export" / "data", run / "mean", tmp_path / "data", disk / "x"):
        assert not refused_by(check_folder, path), path
    assert not refused(run / "export" / "hyp.txt")


def test_the_commands_write_no_model_into_a_run(transduce, run, published):
    before = sorted(run.rglob("*"))
    for part in ("data", "checkpoints/step-99999999", "training/step-99999999"):
        for words in (
            ["checkpoint", "average", published, published],
            ["checkpoint", "convert", published],
            ["train", "--text", run / "recipe.toml", "--objective", "language-model"],
        ):
            ended = transduce(*words, "-o", run / part)
            assert (ended.code, ended.err.count(b"\n")) == (2, 1), ended.err
            assert b"is a part of the run" in ended.err
    assert sorted(run.rglob("*")) == before
