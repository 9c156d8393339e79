"""Published models of every family are trained further, kept as they are decoded, and published."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from tests.families.parity import Sides, _compare, required_language
from tests.families.published import edit
from tests.families.random_folders import draw, reference, write_folder
from tests.families.random_tokenizers import TOKENIZERS
from tests.models import tiny_config
from tests.tokenizer.pretrained.folders import sentences
from tests.training.test_framing import VARIANTS
from tests.training.test_run import changed
from tests.training.toys import train
from transformer.data import TokenStore
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.loading import LoadedModel, load_model
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.framing import pair_framing
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.training.data_recipe import DataRecipe
from transformer.training.events import Notice
from transformer.training.initial_model import load_initial_model
from transformer.training.kept_texts import (
    copy_kept_texts,
    framing_remark,
    keep_texts,
    kept_texts,
)
from transformer.training.recipe import Recipe
from transformer.training.recipe_resolution import resolve_recipe

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{words}")
    for words in ("Recommended. pip install sacremoses", "Unfeasible length constraints")
]
QUICK = [("marian", 2), ("m2m_100", 4), ("t5", 2)]  # two vocabularies, a forced language, neither


def pairs_recipe(folder: Path, **data: Any) -> Recipe:
    lines = [line for line in sentences() if line.strip()][:12]
    for name, side in (("source", lines), ("target", lines[::-1])):
        (folder / name).write_text("".join(f"{line}\n" for line in side))
    files = {side: [str(folder / side)] for side in ("source", "target")}
    fields = {
        "objective": "translation",
        "data": {**files, "max_tokens": 40, "valid_fraction": 0.2, "max_unknown": 1.0, **data},
        "training": {"steps": 4, "batch_tokens": 80, "warmup": 1, "save_every": 0},
        "validation": {"every": 2, "metric": "loss", "max_lines": 2},
    }
    return resolve_recipe(None, fields, [])


def published(family: str, seed: int, folder: Path) -> tuple[LoadedModel, str | None]:
    """A drawn model, and the target language that it has to be told."""
    drawn = draw(family, seed)
    write_folder(drawn, folder / "model")
    loaded = load_model(folder / "model", device="cpu")
    return loaded, required_language(loaded)


def check_run(family: str, seed: int, folder: Path) -> None:
    loaded, language = published(family, seed, folder)
    recipe = pairs_recipe(folder, target_language=language or "")
    train(recipe, folder / "run", init=folder / "model")
    trained = load_model(folder / "run", device="cpu")
    # It is decoded as the model that it started from, and needs no language any more.
    assert pair_framing(trained) == pair_framing(loaded, None, language)
    ours, theirs = (sides.generation for sides in (trained, loaded))
    for name in ("num_beams", "length_penalty", "eos_token_id", "bad_words_ids", "max_length"):
        assert getattr(ours, name) == getattr(theirs, name), name
    before, after = loaded.model.state_dict(), trained.model.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert trained.config == loaded.config
    convert_model(folder / "run", folder / "again", to=family)
    again = draw(family, seed)
    sides = Sides(
        trained, reference(again, folder / "again"), TOKENIZERS[family].reference(folder / "again")
    )
    assert list(_compare(again, sides)) == []
    moved = translations(load_model(folder / "again", device="cpu"))
    assert moved == translations(trained)


def translations(loaded: LoadedModel) -> list[str]:
    asked = TranslateArguments(beam=2, no_guard=True, max_tokens=9)
    answers = Session([loaded]).translate(IterableSource(sentences()[:3]), asked, Counter())
    return [answer.outputs[0].text for answer in answers]


@pytest.mark.parametrize(("family", "seed"), QUICK)
def test_a_published_model_is_trained_further(family: str, seed: int, tmp_path: Path) -> None:
    check_run(family, seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "seed"), [case for case in VARIANTS if case not in QUICK])
def test_each_family_is(family: str, seed: int, tmp_path: Path) -> None:
    check_run(family, seed, tmp_path)


def test_a_resumed_run_is_the_same_and_mends_its_files(tmp_path: Path) -> None:
    _, language = published("m2m_100", 4, tmp_path)
    recipe = pairs_recipe(tmp_path, target_language=language)
    train(recipe, tmp_path / "whole", init=tmp_path / "model")
    half = changed(recipe, training={"steps": 2})
    train(half, tmp_path / "run", init=tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    kept = tmp_path / "run" / "initial"
    (kept / "tokenizer.json").write_text("{}")
    (kept / "published" / "vocab.json").unlink(missing_ok=True)
    (kept / "generation_config.json").unlink()
    events = train(recipe, tmp_path / "run", resume=True)
    told = "\n".join(event.text for event in events if isinstance(event, Notice))
    assert told.count("it is written again as it was saved") >= 2
    whole, resumed = (load_model(tmp_path / name, device="cpu") for name in ("whole", "run"))
    assert resumed.generation == whole.generation
    weights = whole.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    other = changed(recipe, data={"target_language": "en"})
    with pytest.raises(ConfigError, match=r"another data\.target_language.*start a new run"):
        train(other, tmp_path / "run", resume=True)


def test_what_cannot_be_trained_further_is_named(tmp_path: Path) -> None:
    loaded, language = published("m2m_100", 4, tmp_path)
    recipe = pairs_recipe(tmp_path)
    cases = {
        r"the target's token coming first: name one with --to; it has: ": recipe,
        r"has no language 'xx'": pairs_recipe(tmp_path, target_language="xx"),
        r"names no tasks \(task_specific_params": pairs_recipe(tmp_path, task="summarization"),
        r"has 40 positions; .* lower .*data.max_tokens": pairs_recipe(
            tmp_path, max_tokens=99, target_language=language
        ),
    }
    for words, asked in cases.items():
        with pytest.raises(ConfigError, match=words):
            train(asked, tmp_path / "run", init=tmp_path / "model")
    with pytest.raises(ConfigError, match=r"--to: only with --init"):
        train(pairs_recipe(tmp_path, target_language="de"), tmp_path / "run")
    (tmp_path / "book.txt").write_text("The quick brown fox\n")
    book = resolve_recipe(None, {"data": {"text": [str(tmp_path / "book.txt")]}}, [])
    with pytest.raises(ConfigError, match="language-model trains decoder models, not encoder-dec"):
        train(book, tmp_path / "run", init=tmp_path / "model")
    edit(tmp_path / "model" / "generation_config.json", forced_decoder_ids=[[1, 7]])
    with pytest.raises(ConfigError, match="forced_decoder_ids"):
        train(recipe, tmp_path / "run", init=tmp_path / "model")
    assert not (tmp_path / "run").exists()
    assert loaded.config.shape == "encoder-decoder"


def test_a_decoder_takes_no_languages(tmp_path: Path) -> None:
    published("llama", 1, tmp_path)
    data = DataRecipe(text=["x"], source_prefix="a: ")
    recipe = msgspec.structs.replace(pairs_recipe(tmp_path), objective="language-model", data=data)
    with pytest.raises(ConfigError, match=r"--source-prefix: only for models that read a source"):
        train(recipe, tmp_path / "run", init=tmp_path / "model")


def test_a_decoder_of_a_family_is_trained_further(tmp_path: Path) -> None:
    """It begins each text as before, and is a model of its family again."""
    drawn = draw("llama", 6)
    write_folder(drawn, tmp_path / "model")
    (tmp_path / "book.txt").write_text("\n".join(sentences()[:60]))
    fields = {
        "data": {"text": [str(tmp_path / "book.txt")], "max_unknown": 1.0},
        "training": {"steps": 2, "batch_tokens": 64, "context": 16, "warmup": 1},
    }
    train(resolve_recipe(None, fields, []), tmp_path / "run", init=tmp_path / "model")
    before, after = (load_model(tmp_path / name, device="cpu") for name in ("model", "run"))
    assert after.tokenizer.special_affixes() == before.tokenizer.special_affixes() == ([1], [])
    ids = TokenStore(tmp_path / "run" / "data" / "train" / "text").ids
    assert ids[0] == 1
    assert ids[-1] == before.generation.end_id
    convert_model(tmp_path / "run", tmp_path / "again", to="llama")
    sides = Sides(
        after,
        reference(drawn, tmp_path / "again"),
        TOKENIZERS["llama"].reference(tmp_path / "again"),
    )
    assert list(_compare(drawn, sides)) == []


def test_a_prefix_is_read_in_training_and_after(tmp_path: Path) -> None:
    """`the: ` before each source, as transformers' T5 has it when it stands in the text."""
    published("t5", 2, tmp_path)
    edit(
        tmp_path / "model" / "config.json",
        task_specific_params={"writing": {"prefix": "the: ", "num_beams": 3, "max_length": 12}},
    )
    pieces = TOKENIZERS["t5"].reference(tmp_path / "model")
    for number, asked in enumerate(({"source_prefix": "the: "}, {"task": "writing"})):
        run = tmp_path / f"run{number}"
        train(pairs_recipe(tmp_path, **asked), run, init=tmp_path / "model")
        trained = load_model(run, device="cpu")
        framing = pair_framing(trained)
        ids = trained.tokenizer.encode("quick brown fox")
        told = framing_remark(trained.texts, pairs_recipe(tmp_path, **asked).data)
        prefix = asked.get("source_prefix", "the")  # this tokenizer knows no colon
        assert (
            told == f"the trained model reads {prefix!r} before each source unless told otherwise"
        )
        assert framing.source(ids) == pieces("the: quick brown fox")["input_ids"]
        assert framing.target_before == ()
    assert trained.generation.num_beams == 3
    assert trained.generation.max_length == 12
    with pytest.raises(ConfigError, match="no task 'writting'; did you mean writing"):
        train(pairs_recipe(tmp_path, task="writting"), tmp_path / "x", init=tmp_path / "model")


def test_what_is_published_again_reads_the_chosen_languages(tmp_path: Path) -> None:
    """transformers' tokenizer puts the language of --from before a source by itself."""
    published("m2m_100", 4, tmp_path)
    recipe = pairs_recipe(tmp_path, source_language="fr", target_language="de")
    init = load_initial_model(tmp_path / "model", recipe)
    keep_texts(tmp_path / "run", init, recipe.data)
    kept = kept_texts(tmp_path / "run")
    assert kept is not None
    told = "the trained model translates from fr into de unless told otherwise"
    assert framing_remark(kept, recipe.data) == told
    assert pair_framing(kept) == pair_framing(init)
    assert kept.tokenizer.token(kept.special_affixes[0][0]) == "__fr__"
    assert kept.tokenizer.token(kept.generation.forced_bos_token_id or 0) == "__de__"
    shutil.copytree(tmp_path / "run" / "initial" / "published", tmp_path / "published")
    pieces = TOKENIZERS["m2m_100"].reference(tmp_path / "published")
    assert pieces("fox")["input_ids"] == pair_framing(kept).source(kept.tokenizer.encode("fox"))


def test_labels_of_the_initial_model_give_way(tmp_path: Path) -> None:
    (tmp_path / "initial").mkdir()
    kept = {"label_names": ["old", "older"], "source_affixes": [[2], [3]]}
    (tmp_path / "initial" / "config.json").write_text(json.dumps(kept))
    config = tiny_config("encoder", head="tagging", labels=2, output_bias=True)
    for labels, wanted in ((("a", "b"), ["a", "b"]), ((), None)):
        copy_kept_texts(tmp_path, tmp_path, config, labels)
        fields = json.loads((tmp_path / "config.json").read_text())
        assert (fields.get("label_names"), fields["source_affixes"]) == (wanted, [[2], [3]])
