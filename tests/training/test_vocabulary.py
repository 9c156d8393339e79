"""Runs whose initial model's vocabulary grows: whole, resumed, kept and published."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models

from tests.families.parity import Sides, _compare, required_language
from tests.families.random_folders import draw, reference, write_folder
from tests.tokenizer.growing_texts import NEW, OLD, lines
from tests.tokenizer.pretrained.folders import sentences
from tests.training.test_run import changed
from tests.training.toys import train
from tokenizer import CorpusError, Tokenizer
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.loading import LoadedModel, load_model
from transformer.training.events import Notice, Remark
from transformer.training.initial_model import load_initial_model
from transformer.training.planning.planner import plan_recipe
from transformer.training.recipe import Recipe
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.vocabulary import with_special_tokens, without_further_tokens

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{words}")
    for words in ("Recommended. pip install sacremoses", "Unfeasible length constraints")
]
TAG = "<2el>"


def pairs(folder: Path, name: str, target: list[str]) -> list[str]:
    path = folder / name
    rows = zip(lines(OLD, count=len(target)), target, strict=True)
    path.write_text("".join(f"{old}\t{new}\n" for old, new in rows))
    return [str(path)]


def recipe(files: list[str], *, grow: int = 60, special: tuple[str, ...] = (TAG,)) -> Recipe:
    fields: dict[str, Any] = {
        "data": {"pairs": files, "max_tokens": 40, "valid_fraction": 0.2},
        "tokenizer": {"grow": grow, "special": [*special]},
        "training": {"steps": 4, "batch_tokens": 80, "warmup": 1, "save_every": 0},
        "validation": {"every": 2, "metric": "loss", "max_lines": 2},
    }
    return resolve_recipe(None, fields, [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on an old script, in `old`, and pairs with a new one, in `new.tsv`."""
    path = tmp_path_factory.mktemp("grown")
    fields: dict[str, Any] = {
        "data": {"pairs": pairs(path, "old.tsv", lines(OLD, count=60)), "max_tokens": 60},
        "tokenizer": {"vocab_size": 120, "byte_fallback": False},
        "model": {"preset": "translate-tiny", "d_model": 16, "d_ff": 16, "heads": 2},
        "training": {"steps": 1, "batch_tokens": 200, "warmup": 1, "save_every": 0},
    }
    train(resolve_recipe(None, fields, []), path / "old")
    target = [f"{TAG} {line}" for line in lines(NEW, count=40)] + lines(OLD, count=20)
    pairs(path, "new.tsv", target)
    return path


def remarks(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Remark)]


def test_a_run_learns_with_the_vocabulary_that_its_text_needs(folder: Path) -> None:
    told = remarks(train(recipe([str(folder / "new.tsv")]), folder / "run", init=folder / "old"))
    before, after = (load_model(folder / name, device="cpu") for name in ("old", "run"))
    size, old = after.tokenizer.vocab_size, before.tokenizer.vocab_size
    assert after.config.vocab_size == size
    assert told[0] == f"1 special token added to the vocabulary: {TAG}"
    assert told[1].startswith(f"{size - old - 1} tokens added to the vocabulary")
    text = (folder / "new.tsv").read_text().replace(TAG, "")
    characters = [character for character in text if character not in "\t\n"]
    unknown = sum(c in {*"".join(NEW)} - {*"".join(OLD)} for c in characters) / len(characters)
    shown = rf"\({old + 1} → {size}\), for (.*)% of the text's characters that it did not know"
    share = re.search(shown, told[1])
    assert share is not None
    assert float(share[1]) / 100 == pytest.approx(unknown, abs=0.02)  # a fifth is held out
    assert after.tokenizer.encode(TAG) == [old]
    texts = lines(OLD, seed=9)
    assert after.tokenizer.encode_batch(texts) == before.tokenizer.encode_batch(texts)
    assert not any(after.tokenizer.unknown_characters(lines(NEW, seed=9)))
    start = before.model.embedding.weight
    moved = after.model.embedding.weight[: len(start)] - start
    assert 0 < moved.abs().max() < 0.1  # four steps from the initial rows


def test_a_resumed_run_is_the_same(folder: Path) -> None:
    """Also if the initial model, which is as small as it was, is named again; or is gone."""
    asked = recipe([str(folder / "new.tsv")])
    whole = folder / "whole"
    train(asked, whole, init=folder / "old")
    train(changed(asked, training={"steps": 2}), folder / "half", init=folder / "old")
    for name, init in (("again", folder / "old"), ("alone", None)):
        shutil.copytree(folder / "half", folder / name)
        events = train(asked, folder / name, init=init, resume=True)
        told = "".join(e.text for e in events if isinstance(e, Notice | Remark))
        assert "written again" not in told and "added to the vocabulary" not in told
        weights = load_model(whole, device="cpu").model.state_dict()
        for key, tensor in load_model(folder / name, device="cpu").model.state_dict().items():
            assert torch.equal(tensor, weights[key]), (name, key)
    with pytest.raises(ConfigError, match=r"another tokenizer\.grow"):
        train(recipe([str(folder / "new.tsv")], grow=50), whole, resume=True)


def published(family: str, seed: int, folder: Path) -> LoadedModel:
    write_folder(draw(family, seed), folder / "model")
    return load_model(folder / "model", device="cpu")


def check_published(family: str, seed: int, folder: Path) -> None:
    """Train a published model on a new script, publish it, and have transformers read it."""
    before = published(family, seed, folder)
    if before.config.head == "none":
        pytest.skip("a new head is not published")
    language = required_language(before)
    text = [*lines(NEW, count=60), *sentences()[:20]]
    fields: dict[str, Any] = {
        "data": {"max_tokens": 16, "max_unknown": 1.0},
        "tokenizer": {"grow": 60, "special": [TAG]},
        "training": {"steps": 1, "batch_tokens": 64, "context": 16, "warmup": 1, "save_every": 0},
    }
    if before.config.shape == "encoder-decoder":
        fields["data"]["pairs"] = pairs(folder, "pairs.tsv", text)
        fields["data"]["target_language"] = language or ""
    else:
        (folder / "text.txt").write_text("\n".join(text))
        fields["data"]["text"] = [str(folder / "text.txt")]
        if before.config.shape == "encoder":
            fields["objective"] = "masked-lm"
    train(resolve_recipe(None, fields, []), folder / "run", init=folder / "model")
    trained = load_model(folder / "run", device="cpu")
    convert_model(folder / "run", folder / "again", to=family)
    again = load_model(folder / "again", device="cpu")
    assert again.config.vocab_size == trained.config.vocab_size >= trained.tokenizer.largest_id + 1
    assert trained.tokenizer.encode(TAG)[-1] == before.tokenizer.largest_id + 1
    settings = json.loads((folder / "again" / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] in {"PreTrainedTokenizerFast", "NllbTokenizerFast"}
    drawn = draw(family, seed)
    pieces = _transformers(folder / "again")
    sides = Sides(trained, reference(drawn, folder / "again"), pieces)
    assert list(_compare(drawn, sides)) == []
    for line in (*lines(NEW, count=9, seed=4), *sentences()[:9], f"{TAG} {NEW[0]}"):
        ids = pieces(line, add_special_tokens=False)["input_ids"]
        assert ids == trained.tokenizer.encode(line) == again.tokenizer.encode(line)


def _transformers(folder: Path) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(("family", "seed"), [("t5", 2), ("llama", 6), ("bert", 2)])
def test_a_published_model_is_published_again(family: str, seed: int, tmp_path: Path) -> None:
    check_published(family, seed, tmp_path)


OTHERS = ("bart", "gpt2", "mistral", "roberta", "xlm-roberta", "mbart", "pegasus", "qwen2", "olmo2")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", OTHERS)
def test_others_are(family: str, seed: int, tmp_path: Path) -> None:
    check_published(family, seed, tmp_path)


def test_unknown_text_is_refused_with_the_way_to_learn_it(folder: Path) -> None:
    files = pairs(folder, "other.tsv", lines(NEW, count=60))
    with pytest.raises(CorpusError) as caught:
        train(recipe(files, grow=0, special=()), folder / "x", init=folder / "old")
    told = str(caught.value)
    assert "let it learn the script with --grow-vocabulary 2000, or start from a model" in told
    with pytest.raises(CorpusError, match=r"with --grow-vocabulary 4, or start"):
        train(recipe(files, grow=2, special=()), folder / "x", init=folder / "old")


def test_text_that_is_spelled_well_adds_nothing(folder: Path) -> None:
    files = pairs(folder, "old2.tsv", lines(OLD, count=60))
    told = remarks(train(recipe(files, special=()), folder / "well", init=folder / "old"))
    assert told[0].startswith("no tokens added to the vocabulary: the tokenizer spells")
    before, after = (load_model(folder / name, device="cpu") for name in ("old", "well"))
    assert after.config == before.config


def test_a_tag_alone_needs_no_text(folder: Path) -> None:
    files = pairs(folder, "tagged.tsv", [f"{TAG} {line}" for line in lines(OLD, count=60)])
    told = remarks(train(recipe(files, grow=0), folder / "tagged", init=folder / "old"))
    before, after = (load_model(folder / name, device="cpu") for name in ("old", "tagged"))
    assert after.config.vocab_size == before.config.vocab_size + 1
    assert told[0] == f"1 special token added to the vocabulary: {TAG}"
    told = remarks(train(recipe(files, grow=0), folder / "twice", init=folder / "tagged"))
    assert not [text for text in told if "vocabulary" in text]


def test_what_cannot_grow_is_refused_before_anything_is_read(folder: Path, tmp_path: Path) -> None:
    asked = recipe([str(folder / "new.tsv")])
    with pytest.raises(ConfigError, match=r"^--grow-vocabulary: only with --init"):
        train(asked, tmp_path / "run")
    lora = changed(asked, adapter={"kind": "lora"})
    with pytest.raises(ConfigError, match=r"an adapter leaves embeddings as they are"):
        train(lora, tmp_path / "run", init=folder / "old")
    frozen = changed(asked, training={"freeze": ["embedding"]})
    with pytest.raises(ConfigError, match=r"training\.freeze has the embedding"):
        train(frozen, tmp_path / "run", init=folder / "old")
    published("marian", 2, tmp_path)
    with pytest.raises(ConfigError, match=r"one tokenizer for what it reads and another"):
        train(asked, tmp_path / "run", init=tmp_path / "model")
    assert not (tmp_path / "run").exists()


def test_a_plan_counts_the_rows_that_there_may_be(folder: Path) -> None:
    asked = {"data": {"pairs": [str(folder / "new.tsv")]}, "tokenizer": {"grow": 500}}
    asked["training"] = {"steps": 9}
    planned, planner = plan_recipe(None, asked, [])
    init = load_initial_model(folder / "old", planned)
    choices = planner.choose(planner.recipe_for(planned, init.config), torch.device("cpu"), init)
    assert choices.config.vocab_size == init.config.vocab_size + 500
    assert "the initial model's and up to 500 tokens more, for" in choices.lines[0]


def test_a_tokenizer_that_cannot_grow_is_told_before_the_text_is_read(folder: Path) -> None:
    words = Backend(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    loaded = load_model(folder / "old", device="cpu")
    other = dataclasses.replace(loaded, tokenizer=Tokenizer(words), target=None)
    with pytest.raises(ConfigError, match=r"^--grow-vocabulary: .*cannot grow: its model is Word"):
        with_special_tokens(other, recipe([], grow=9))
    with pytest.raises(ConfigError, match=r"^--special: .*cannot grow: its model is Word"):
        with_special_tokens(other, recipe([], grow=0))
    assert with_special_tokens(other, without_further_tokens(recipe([]))) is other
