"""Files that are mixed: weights, temperatures, and what is told of them."""

from pathlib import Path
from typing import Any

import pytest

from cli.render.data_report import data_lines
from tests.training.preparing import prepare, report
from tests.training.test_reconstruction import texts_of
from tests.training.test_run import assert_equal_runs, changed
from tests.training.toys import SMALL, train
from tokenizer import CorpusError
from transformer.data import MixedData
from transformer.errors import ConfigError
from transformer.folder_layout import DATA
from transformer.loading import load_model
from transformer.training.data_recipe import DataRecipe, data_settings
from transformer.training.objectives import OBJECTIVES, TRAIN, VALID
from transformer.training.recipe import Recipe
from transformer.training.recipe_checks import check_recipe
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run


def texts_recipe(folder: Path, objective: str = "language-model", **data: Any) -> Recipe:
    """Two texts of other words, of which the second is a third as long."""
    paths = [folder / "a.txt", folder / "b.txt"]
    paths[0].write_text("ab abb " * 300)
    paths[1].write_text("xy xyy " * 100)
    shape = OBJECTIVES[objective].shapes[0]
    sides = [f"{side}_layers" for side in ("encoder", "decoder") if side in shape.split("-")]
    preset = OBJECTIVES[objective].rules.presets[0]
    fields = {
        "objective": objective,
        "data": {"text": list(map(str, paths)), **data},
        "tokenizer": {"kind": "bpe", "vocab_size": 130},
        "model": {"preset": preset, **SMALL, **dict.fromkeys(sides, 1)},
        "training": {"steps": 3, "batch_tokens": 32, "context": 16, "warmup": 1},
        "validation": {"every": 3},
    }
    return resolve_recipe(None, fields, [])


def pairs_recipe(folder: Path, **data: Any) -> Recipe:
    """Two directions of a tagged toy, the second with a third of the pairs."""
    sizes = {"de": 30, "en": 10}
    for tag, size in sizes.items():
        rows = "".join(f"<2{tag}> {n}{n} {n}\t{tag} {n}\n" for n in range(size))
        (folder / f"{tag}.tsv").write_text(rows)
    fields = {
        "objective": "translation",
        "data": {"pairs": [str(folder / f"{tag}.tsv") for tag in sizes], **data},
        "tokenizer": {"kind": "char", "special": ["<2de>", "<2en>"]},
        "training": {"batch_tokens": 32},
        "validation": {"metric": "loss"},
    }
    return resolve_recipe(None, fields, [])


def open_run(recipe: Recipe, run: Path) -> MixedData:
    events = prepare(recipe, run)
    objective = OBJECTIVES[recipe.objective]
    data = objective.open(recipe, texts_of(run), run / DATA, TRAIN)
    assert isinstance(data, MixedData)
    assert report(events).training.shares == pytest.approx(data.shares)
    return data


def drawn(data: MixedData, epochs: int = 4) -> list[int]:
    """How many batches are of each part."""
    counts = [0] * len(data.parts)
    for number in range(epochs * data.batches_per_epoch):
        name = data.describe(number).split(": ")[0]
        counts[[*data.names].index(name)] += 1
    return counts


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({"weights": [1.0, 4.0]}, [0.2, 0.8]),
        ({"temperature": 1.0}, [0.75, 0.25]),
        ({"temperature": 1e9}, [0.5, 0.5]),
        ({"temperature": 2.0}, [0.634, 0.366]),
    ],
)
@pytest.mark.parametrize("make", [texts_recipe, pairs_recipe])
def test_batches_are_of_files_by_their_shares(tmp_path, make, settings, shares) -> None:
    data = open_run(make(tmp_path, **settings), tmp_path / "run")
    assert [*data.shares] == pytest.approx(shares, abs=0.01)
    counts = drawn(data)
    assert [count / sum(counts) for count in counts] == pytest.approx(shares, abs=0.06)


def test_a_batch_is_of_one_file_and_all_of_a_file_is_read(tmp_path: Path) -> None:
    recipe = pairs_recipe(tmp_path, weights=[1.0, 1.0])
    data = open_run(recipe, tmp_path / "run")
    assert [len(part.source) for part in data.parts] == [30, 10]
    for number in range(data.batches_per_epoch):
        tags = {int(row[0]) for row in data.batch(number).inputs.source.ids_BT}
        assert len(tags) == 1
    texts = texts_recipe(tmp_path, weights=[1.0, 1.0])
    first, second = (part.ids.tolist() for part in open_run(texts, tmp_path / "texts").parts)
    assert first[0] == first[-1] == second[0] == second[-1]  # the ends of documents
    shown = [texts_of(tmp_path / "texts").tokenizer.decode(ids) for ids in (first, second)]
    assert {*"".join(shown[0].split())} == {*"ab"} and {*"".join(shown[1].split())} == {*"xy"}


@pytest.mark.parametrize("objective", ["masked-lm", "span-corruption", "language-model"])
def test_a_mixed_run_resumes_to_equal_weights(tmp_path: Path, objective: str) -> None:
    recipe = texts_recipe(tmp_path, objective, weights=[1.0, 3.0], valid_fraction=0.2)
    train(recipe, tmp_path / "whole")
    cut = Run(recipe, tmp_path / "cut", device="cpu")
    cut.stop = lambda: cut.progress.step == 1
    assert list(cut.events())[-1].interrupted
    with pytest.raises(ConfigError, match=r"was started with another data\.weights"):
        train(changed(recipe, data={"weights": [2.0, 1.0]}), tmp_path / "cut", resume=True)
    train(recipe, tmp_path / "cut", resume=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "cut")


def test_ids_of_before_files_were_mixed_stay() -> None:
    assert not {"weights", "temperature"} & {*data_settings(DataRecipe())}
    assert data_settings(DataRecipe(temperature=2.0))["temperature"] == 2.0


def test_each_file_is_validated_on_its_end(tmp_path: Path) -> None:
    recipe = texts_recipe(tmp_path, weights=[1.0, 1.0], valid_fraction=0.1, max_unknown=1.0)
    train(recipe, tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    data = OBJECTIVES["language-model"].open(recipe, loaded.texts, tmp_path / "run" / DATA, VALID)
    text = loaded.tokenizer.decode(data.ids.tolist())
    assert 0.08 < text.count("x") / 200 < 0.12
    assert 0.08 < text.count("a") / 600 < 0.12
    plain = texts_recipe(tmp_path, valid_fraction=0.1)
    prepare(plain, tmp_path / "plain")
    texts = texts_of(tmp_path / "plain")
    data = OBJECTIVES["language-model"].open(plain, texts, tmp_path / "plain" / DATA, VALID)
    assert "a" not in texts.tokenizer.decode(data.ids.tolist())  # of all, the end


def test_shares_are_told_and_how_often_a_file_is_read(tmp_path: Path) -> None:
    lines = data_lines(report(prepare(pairs_recipe(tmp_path, weights=[1, 1]), tmp_path / "run")))
    told = [line for line in lines if "batches" in line]
    assert told == [
        f"training: 50.0% of the batches are of {tmp_path}/de.tsv, which an epoch reads 0.67 times",
        f"training: 50.0% of the batches are of {tmp_path}/en.tsv, which an epoch reads 2 times",
    ]
    plain = data_lines(report(prepare(pairs_recipe(tmp_path), tmp_path / "plain")))
    assert not [line for line in plain if "batches" in line]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": [1.0]}, "weights has 1 number for 2 files of --text; it must have one for"),
        ({"weights": [1.0, 1.0], "temperature": 2.0}, "give one of them"),
        ({"weights": [1.0], "text": ["a"]}, "mix several files, each a corpus: give --text more"),
    ],
)
def test_what_cannot_be_mixed_is_one_line(tmp_path, settings, words) -> None:
    with pytest.raises(ConfigError, match=words):
        check_recipe(texts_recipe(tmp_path, **settings))


def test_conversations_and_files_in_parallel_are_not_mixed(tmp_path: Path) -> None:
    data = {"temperature": 1.0, "conversations": ["a"]}
    with pytest.raises(ConfigError, match="for running text and pairs; instructions mixes nothing"):
        check_recipe(resolve_recipe(None, {"objective": "instructions", "data": data}, []))
    data = {"temperature": 1.0, "source": ["a"], "target": ["b"]}
    with pytest.raises(ConfigError, match="more than once, in place of --source and --target"):
        check_recipe(resolve_recipe(None, {"data": data}, []))


def test_a_file_without_text_has_no_share(tmp_path: Path) -> None:
    recipe = texts_recipe(tmp_path, weights=[1.0, 1.0])
    (tmp_path / "b.txt").write_text("\n")
    with pytest.raises(CorpusError, match=r"b\.txt has no text to train on"):
        prepare(recipe, tmp_path / "run")
