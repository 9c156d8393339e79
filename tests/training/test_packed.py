"""Language models on packed documents, none of which sees another."""

from pathlib import Path

import pytest
import torch

from tests.training.test_run import assert_equal_runs, changed
from tests.training.toys import WORDS, toy_recipe, train
from transformer.data import PackedData, WindowData
from transformer.errors import ConfigError
from transformer.folder_layout import DATA
from transformer.inputs import IGNORE
from transformer.loading import load_model
from transformer.training.objectives import OBJECTIVES, TRAIN
from transformer.training.recipe_checks import check_recipe
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run

OBJECTIVE = OBJECTIVES["language-model"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    text = folder / "text.tsv"
    text.write_text("".join(f"{a} and {b}\n" for a in WORDS for b in WORDS))
    recipe = changed(
        toy_recipe(folder, "language-model", steps=3, pack=True),
        data={"text": [str(text)], "columns": ["1"]},
        validation={"every": 3},
    )
    train(recipe, folder / "run")
    return folder / "run"


def test_windows_have_whole_documents(run: Path) -> None:
    recipe, loaded = resolve_recipe(None, {}, [], resumed=run), load_model(run)
    data = OBJECTIVE.open(recipe, loaded.texts, run / DATA, TRAIN)
    assert isinstance(data, PackedData)
    end, known = loaded.generation.end_id, {f"{a} and {b}" for a in WORDS for b in WORDS}
    for batch in data.in_order():
        ids, segments = batch.inputs.ids_BT, batch.inputs.segments_BT
        assert (segments.max(dim=1).values > 0).any()
        for row, segment_T, target_T in zip(ids, segments, batch.targets, strict=True):
            for segment in range(int(segment_T.max()) + 1):
                document, target = row[segment_T == segment], target_T[segment_T == segment]
                assert document[0] == end and target[-1] == end
                assert document[1:].tolist() == target[:-1].tolist()
                assert loaded.tokenizer.decode(document.tolist()) in known
            assert (target_T[segment_T < 0] == IGNORE).all()


@torch.no_grad()
def test_no_document_sees_another_in_training(run: Path) -> None:
    recipe, loaded = resolve_recipe(None, {}, [], resumed=run), load_model(run, device="cpu")
    batch = OBJECTIVE.open(recipe, loaded.texts, run / DATA, TRAIN).batch(0)
    before = loaded.model(batch.inputs)
    first = batch.inputs.segments_BT == 0
    batch.inputs.ids_BT[first] = batch.inputs.ids_BT[first].flip(0)
    after = loaded.model(batch.inputs)
    others = batch.inputs.segments_BT > 0
    torch.testing.assert_close(before[others], after[others], atol=1e-6, rtol=0)
    assert not torch.allclose(before[first], after[first])


def test_a_resumed_run_is_bit_equal(run: Path) -> None:
    recipe = resolve_recipe(None, {}, [], resumed=run)
    cut = Run(recipe, run.parent / "cut", device="cpu")
    cut.stop = lambda: cut.progress.step == 1
    assert list(cut.events())[-1].interrupted
    train(recipe, run.parent / "cut", resume=True)
    assert_equal_runs(run, run.parent / "cut")


def test_it_is_asked_for_and_cannot_change(run: Path, tmp_path: Path) -> None:
    recipe = resolve_recipe(None, {}, [], resumed=run)
    plain = changed(recipe, training={"pack": False})
    texts = load_model(run).texts
    assert isinstance(OBJECTIVE.open(plain, texts, run / DATA, TRAIN), WindowData)
    with pytest.raises(ConfigError, match=r"was started with another training\.pack"):
        train(plain, run, resume=True)
    masked = toy_recipe(tmp_path, "masked-lm", pack=True)
    with pytest.raises(ConfigError, match="pack is for the objective language-model, and this on"):
        check_recipe(masked)
