"""Labelled pairs for networks of a single token type: both texts are of that type."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
import transformers

from tests.tokenizer.pretrained.folders import BERT_VOCABULARY, write_bert
from tests.training.preparing import prepare
from tests.training.test_run import changed
from tests.training.toys import toy_recipe, train
from transformer.folder_layout import DATA
from transformer.inputs import ModelInputs
from transformer.loading import load_model
from transformer.pipelines.arguments import ClassifyArguments
from transformer.pipelines.records import IterableSource, Line
from transformer.pipelines.session import Session
from transformer.training.objectives import TRAIN
from transformer.training.recipe import Recipe, recipe_from_fields


@pytest.fixture(scope="module")
def one_type(tmp_path_factory) -> Path:
    """A published BERT of a single token type, whose tokenizer gives types 0 and 1."""
    folder = tmp_path_factory.mktemp("one-type")
    write_bert(folder)
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24)
    config = transformers.BertConfig(**sizes, vocab_size=len(BERT_VOCABULARY), type_vocab_size=1)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    return folder


def one_type_recipe(folder: Path) -> Recipe:
    """A recipe of labelled pairs, of words that the published BERT knows."""
    path = folder / "pairs.tsv"
    path.write_text("the cat\tthe\tyes\ncat\tthe cat sat\tno\nthe\tcat\tno\nsat\tthe\tyes\n" * 9)
    data = {"labelled": [str(path)], "columns": ["1", "2", "3"], "max_unknown": 1.0}
    return changed(toy_recipe(folder, "classification", steps=2), data=data)


def test_pairs_are_of_the_only_type_that_a_published_network_has(one_type, tmp_path) -> None:
    """Its tokenizer gives a second text type 1, of which the network has no row."""
    recipe = msgspec.to_builtins(one_type_recipe(tmp_path)) | {"tokenizer": {}}
    recipe["model"] = {"preset": "bert-tiny"}
    train(recipe_from_fields(recipe), tmp_path / "run", init=one_type)
    loaded = load_model(tmp_path / "run", device="cpu")
    assert loaded.config.token_types == 1
    before, after = loaded.special_affixes
    a, b = (loaded.tokenizer.encode(text) for text in ("the cat", "sat"))
    line = Line(0, "the cat", fields={"text_pair": "sat"})
    (answer,) = Session([loaded]).classify(
        IterableSource([line]), ClassifyArguments(top_k=2), Counter()
    )
    expected = loaded.model(ModelInputs(torch.tensor([[*before, *a, *after, *b, *after]])))
    wanted = dict(zip(loaded.labels, expected.softmax(-1)[0].tolist(), strict=True))
    assert {x.label: x.score for x in answer.outputs[0]} == pytest.approx(wanted, abs=1e-5)


def test_pairs_are_of_the_only_type_of_a_new_network(tmp_path) -> None:
    """Ids that a network of two types was to read are not taken for its own."""
    recipe = one_type_recipe(tmp_path)
    prepare(recipe, tmp_path / "run")
    assert (np.load(tmp_path / "run" / DATA / TRAIN / "seconds.npy") < 8).any()
    recipe = changed(recipe, model={"token_types": 1})
    train(recipe, tmp_path / "run")
    assert load_model(tmp_path / "run").config.token_types == 1
