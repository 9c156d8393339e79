"""Masked language modelling, from text to checkpoints."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from tests.models import tiny_model
from tests.training.preparing import prepare
from tests.training.test_run import changed
from tests.training.toys import toy_recipe, train, write_text
from tokenizer import Tokenizer
from transformer.data import IGNORE, Batch
from transformer.evaluation import masked_accuracy
from transformer.export import convert_model, save_model
from transformer.folder_layout import DATA
from transformer.inputs import ModelInputs
from transformer.loading import ModelTexts, default_generation_config, load_model
from transformer.pipelines.arguments import FillArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.training.events import Validated
from transformer.training.objectives import OBJECTIVES, TRAIN, VALID
from transformer.training.objectives.running_text import excerpts
from transformer.training.recipe_resolution import resolve_recipe

OBJECTIVE = OBJECTIVES["masked-lm"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("masked")
    recipe = toy_recipe(folder, "masked-lm", steps=2)
    train(changed(recipe, validation={"every": 2}), folder / "run")
    return folder / "run"


def own_texts(run: Path) -> ModelTexts:
    tokenizer = Tokenizer.load(run / "tokenizer.json")
    texts = ModelTexts(tokenizer, default_generation_config(tokenizer), run)
    return OBJECTIVE.frame_texts(texts, "encoder")


def test_texts_have_begin_and_end_tokens_and_a_mask_that_no_text_spells(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one <mask> two </s> three\n" * 9)
    fields = {
        "objective": "masked-lm",
        "data": {"text": [str(tmp_path / "a.txt")]},
        "tokenizer": {"kind": "char"},
    }
    recipe = resolve_recipe(None, fields, [])
    prepare(recipe, tmp_path / "run")
    texts = own_texts(tmp_path / "run")
    tokenizer = texts.tokenizer
    begin, end, mask = (tokenizer.require_role(role) for role in ("begin", "end", "mask"))
    assert texts.special_affixes == ([begin], [end])
    data = OBJECTIVE.open(recipe, texts, tmp_path / "run" / DATA, TRAIN)
    (batch,) = data.in_order()
    whole = torch.where(batch.targets == IGNORE, batch.inputs.ids_BT, batch.targets)
    assert whole[:, 0].tolist() == [begin] * len(whole)
    assert mask not in whole
    assert mask in batch.inputs.ids_BT
    # windows hold the text and the end of its one document
    inner = [row[1 : row.tolist().index(end, 1)] for row in whole]
    assert tokenizer.decode(torch.cat(inner).tolist()) == (tmp_path / "a.txt").read_text()


def test_windows_are_as_long_as_the_context_with_their_special_tokens(run: Path) -> None:
    recipe = resolve_recipe(None, {}, [], resumed=run)
    data = OBJECTIVE.open(recipe, own_texts(run), run / DATA, TRAIN)
    assert {batch.inputs.ids_BT.size(1) for batch in data.in_order()} == {32}


def test_a_checkpoint_is_an_encoder_that_frames_its_texts(run: Path) -> None:
    loaded = load_model(run)
    config, tokenizer = loaded.config, loaded.tokenizer
    assert (config.shape, config.head, config.max_positions) == ("encoder", "masked", 32)
    assert loaded.special_affixes == ([tokenizer.role("begin")], [tokenizer.role("end")])
    assert tokenizer.role("mask") is not None


def test_samples_show_masks_the_words_behind_them_and_what_is_filled_in(run: Path) -> None:
    recipe = resolve_recipe(None, {}, [], resumed=run)
    loaded = load_model(run)
    samples = OBJECTIVE.samples(loaded, recipe, run / DATA, lambda: False, limit=2)
    assert len(samples) == 2
    for (name, text), (words, truth), (output, filled) in samples:
        assert (name, words, output) == ("masked", "words", "output")
        assert text.count("<mask>") >= 1
        assert truth
        assert text.replace(" <mask>", "").strip() != truth
        assert filled
    assert OBJECTIVE.samples(loaded, recipe, run / DATA, lambda: True, limit=2) == []


def test_a_run_fills_in_masks(run: Path) -> None:
    loaded = load_model(run)
    source = IterableSource(["one <mask> three"])
    (answer,) = Session([loaded]).fill(source, FillArguments(top_k=3), Counter())
    (mask,) = answer.outputs[0].fills
    assert len(mask) == 3
    before, after = loaded.special_affixes
    ids = loaded.tokenizer.encode_with_specials("one <mask> three")
    ids = torch.tensor([[*before, *ids, *after]])
    logits = loaded.model(ModelInputs(ids))[ids == loaded.tokenizer.role("mask")]
    wanted = logits.softmax(dim=-1).max()
    assert mask[0].probability == pytest.approx(float(wanted), abs=1e-6)


def test_validation_has_the_accuracy_of_the_masked_tokens(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "masked-lm", steps=2)
    events = train(changed(recipe, validation={"every": 2}), tmp_path / "run")
    (validated,) = [event for event in events if isinstance(event, Validated)]
    loaded = load_model(tmp_path / "run")
    data = OBJECTIVE.open(recipe, loaded.texts, tmp_path / "run" / DATA, VALID)
    right = total = 0
    for batch in data.in_order():
        best = loaded.model(batch.inputs).argmax(dim=-1)
        chosen = batch.targets != IGNORE
        right += int((best == batch.targets)[chosen].sum())
        total += int(chosen.sum())
    assert validated.scores["accuracy"].value == pytest.approx(100 * right / total)


def test_accuracy_by_hand() -> None:
    model = tiny_model("encoder", head="masked").eval()
    ids = torch.tensor([[3, 4, 5]])
    best = model(ModelInputs(ids)).argmax(dim=-1)
    targets = torch.tensor([[int(best[0, 0]) + 1, IGNORE, int(best[0, 2])]])
    batch = Batch(
        inputs=ModelInputs(ids),
        targets=targets,
        num_targets=2,
        rows=np.arange(1),
        predicted_N=torch.tensor([0, 2]),
    )
    score = masked_accuracy(model, [batch])
    assert (score.value, score.details) == (50, "1 of 2")
    assert masked_accuracy(model, []).informative is False


def test_excerpts_stay_within_a_document_and_come_from_all_over() -> None:
    ids = np.array([5, 6, 2, *range(10, 40), 2, 7, 8, 9, 2])
    pieces = [piece.tolist() for piece in excerpts(ids, end_id=2, length=4, limit=3)]
    assert pieces == [[13, 14, 15, 16], [26, 27, 28, 29], [7, 8, 9]]
    assert excerpts(np.array([2, 2]), end_id=2, length=4, limit=3) == []


def test_an_encoder_without_a_head_gets_that_of_a_published_one(run: Path, tmp_path: Path) -> None:
    """RoFormer's head has a bias of each token, and its family takes the trained model."""
    bare = tmp_path / "bare"
    loaded = load_model(run)
    config = msgspec.structs.replace(loaded.config, head="none", output_bias=False)
    body = {n: t for n, t in loaded.model.state_dict().items() if not n.startswith("head.")}
    affixes = loaded.source_affixes
    bare.mkdir()
    save_model(bare, config, body, loaded.tokenizer, card={}, source_affixes=affixes)
    recipe = resolve_recipe(
        None,
        {
            "objective": "masked-lm",
            "data": write_text(tmp_path),
            "training": {"steps": 1, "context": 32, "warmup": 0},
        },
        [],
    )
    train(recipe, tmp_path / "run", init=bare)
    convert_model(tmp_path / "run", tmp_path / "published", to="roformer")
    assert load_model(tmp_path / "published").config.head == "masked"
