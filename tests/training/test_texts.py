"""Texts of a training run: from files of any format, from pipes, from the home folder."""

import io
import os
import threading
from pathlib import Path

import pytest

from tokenizer import CorpusError, Tokenizer
from transformer.data import TokenStore
from transformer.errors import ConfigError
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run

pytestmark = pytest.mark.integration

PAIRS = [(f"a{n}", f"z{n}") for n in range(300)]
TSV = "".join(f"{source}\t{target}\n" for source, target in PAIRS).encode()
SIZE = {"preset": "translate-tiny", "d_model": 16, "d_ff": 16, "heads": 1, "dropout": 0.0}


def train(folder: Path, **data: object) -> list[tuple[str, str]]:
    """Train for a step; the pairs that were trained on."""
    recipe = {
        "data": data,
        "tokenizer": {"kind": "char", "vocab_size": 40},
        "model": {**SIZE, "encoder_layers": 1, "decoder_layers": 1},
        "training": {"steps": 1, "batch_tokens": 64},
        "validation": {"metric": "loss"},
    }
    list(Run(resolve_recipe(None, recipe, []), folder, device="cpu").events())
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    sides = [TokenStore(folder / "data" / "train" / side) for side in ("source", "target")]
    texts = [[tokenizer.decode(list(side[n])) for n in range(len(side))] for side in sides]
    assert [path.name for path in folder.glob(".spool*")] == []
    return list(zip(*texts, strict=True))


def feed(path, content: bytes) -> None:
    """Write into a pipe, as another program would."""

    def write() -> None:
        with open(path, "wb") as stream:  # noqa: PTH123 (a descriptor, too)
            stream.write(content)

    threading.Thread(target=write, daemon=True).start()


@pytest.mark.parametrize("kind", ["fifo", "descriptor", "stdin"])
def test_pairs_of_a_pipe_are_all_read_and_stay_pairs(tmp_path, monkeypatch, kind):
    reading, writing = os.pipe()
    if kind == "fifo":
        name = str(tmp_path / "pipe.tsv")
        os.mkfifo(name)
        feed(name, TSV)
    elif kind == "descriptor":
        name = f"/dev/fd/{reading}"
        feed(writing, TSV)
    else:
        name = "-"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TSV)))
    assert train(tmp_path / "run", pairs=[name]) == PAIRS


def test_a_side_may_be_a_pipe(tmp_path, monkeypatch):
    (tmp_path / "target").write_text("".join(f"{target}\n" for _, target in PAIRS))
    content = "".join(f"{source}\n" for source, _ in PAIRS).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert train(tmp_path / "run", source=["-"], target=[str(tmp_path / "target")]) == PAIRS


def test_a_tilde_in_a_recipe_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pairs.tsv").write_bytes(TSV)
    (tmp_path / "recipe.toml").write_bytes(b'\xef\xbb\xbf[data]\npairs = ["~/pairs.tsv"]\n')
    recipe = resolve_recipe(tmp_path / "recipe.toml", {}, ["tokenizer.path=~/t.json"])
    assert recipe.data.pairs == [str(tmp_path / "pairs.tsv")]
    assert recipe.tokenizer.path == str(tmp_path / "t.json")


def test_a_name_that_is_not_utf8_is_refused_in_one_line(tmp_path):
    name = os.fsdecode(bytes(tmp_path) + b"/\xff.tsv")
    Path(name).write_bytes(TSV)
    with pytest.raises(ConfigError, match=r"udcff.*is not UTF-8.*rename"):
        resolve_recipe(None, {"data": {"pairs": [name]}}, [])


def test_binary_text_is_refused_before_the_work(tmp_path):
    (tmp_path / "t.tsv").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(CorpusError, match=r"t\.tsv is a zip archive"):
        train(tmp_path / "run", pairs=[str(tmp_path / "t.tsv")])
    assert not (tmp_path / "run").exists()
