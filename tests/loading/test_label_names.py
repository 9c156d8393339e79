"""Names of labels: as folders have them, in the order of their ids, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from checkpoints import CheckpointError
from tests.families.published import VOCABULARY
from tests.loading.owned import own
from tests.models import tiny_config
from tokenizer import Tokenizer
from transformer.config import TransformerConfig
from transformer.export import convert_model
from transformer.loading import LoadedModel, load_model, summarize_model
from transformer.loading.label_names import read_label_names

NAMES = ("neg", "Güte", "zwei Wörter", "👩\u200d🔬")


def labelled(labels: int = 4, **changes: Any) -> TransformerConfig:
    fields = {"head": "classification", "vocab_size": VOCABULARY, "output_bias": True, **changes}
    return tiny_config("encoder", labels=labels, **fields)


def published(**options: Any) -> tuple[str, ...]:
    config = labelled(len(options.get("id2label") or [0, 1]))
    return read_label_names(Path(), config, {"model_type": "bert", **options})


def test_names_travel_with_a_model(tmp_path: Path, tokenizer: Tokenizer) -> None:
    own(tmp_path / "a", labelled(), tokenizer, NAMES)
    convert_model(tmp_path / "a", tmp_path / "b", to="transduce")
    for folder in (tmp_path / "a", tmp_path / "b"):
        loaded = load_model(folder, device="cpu")
        assert loaded.labels == NAMES
        assert LoadedModel.of(loaded.model, loaded.texts).labels == NAMES


def test_labels_without_names_have_those_of_transformers(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    own(tmp_path / "a", labelled(2), tokenizer)
    assert load_model(tmp_path / "a", device="cpu").labels == ("LABEL_0", "LABEL_1")
    assert published() == published(id2label=None) == ("LABEL_0", "LABEL_1")


def test_a_network_without_labels_has_no_names(tmp_path: Path, tokenizer: Tokenizer) -> None:
    own(tmp_path / "a", tiny_config(vocab_size=VOCABULARY), tokenizer, NAMES)
    assert "label_names" not in json.loads((tmp_path / "a" / "config.json").read_text())
    assert load_model(tmp_path / "a", device="cpu").labels == ()


def test_published_names_are_in_the_order_of_their_ids() -> None:
    assert published(id2label={"10": "k", **{str(n): str(n * n) for n in range(9, -1, -1)}}) == (
        *(str(n * n) for n in range(10)),
        "k",
    )
    contradicted = {"id2label": {"1": "a", "0": "b"}, "label2id": {"a": 0, "b": 1}}
    assert published(**contradicted) == ("b", "a")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"0": "a", "2": "b"}, r"the ids of id2label are 0, 2; they must be 0 to 1, each once"),
        ({"1": "a", "2": "b"}, "must be 0 to 1"),
        ({"0": "a", "01": "b"}, "must be 0 to 1"),
        ({}, "the ids of id2label are none"),
        ({"0": "a", "1": 7}, "id2label names label 1 7; a name must be a text of one line"),
        ({"0": "a\nb", "1": "c"}, r"names label 0 'a\\nb'"),
        ({"0": "a", "1": " "}, "names label 1"),
        ({"0": "a", "1": "\ud800"}, "names label 1"),
        (["a", "b"], "id2label is .*; it must be dict"),
        ({str(n): "a" for n in range(1, 9)}, "are 1, 2, 3, 4, 5 …; they must be 0 to 7"),
    ],
)
def test_published_names_that_are_damaged_are_refused(names: Any, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        published(id2label=names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b"], "label_names has 2 names; the network has 4 labels"),
        (list("abcde"), "label_names has 5 names; the network has 4 labels"),
        (["a", "b", "c", 4], "label_names names label 3 4"),
        ("abcd", "label_names is 'abcd'; it must be list"),
    ],
)
def test_our_names_that_are_damaged_are_refused(names: Any, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read_label_names(Path(), labelled(), {"model_type": "transduce", "label_names": names})


@pytest.mark.parametrize(
    ("labels", "kind", "wanted"),
    [
        (2, "single", "one of 2: n0, n1"),
        (3, "multi", "any of 3: n0, n1, n2"),
        (1, "number", "1 number: n0"),
        (22, "single", f"one of 22: {', '.join(f'n{n}' for n in range(20))} and 2 more"),
    ],
)
def test_a_summary_names_the_labels(
    labels: int, kind: str, wanted: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    names = [f"n{number}" for number in range(labels)]
    own(tmp_path / "a", labelled(labels, label_kind=kind), tokenizer, names)
    assert dict(summarize_model(tmp_path / "a"))["labels"] == wanted


def test_a_number_that_nobody_named_has_no_name(tmp_path: Path, tokenizer: Tokenizer) -> None:
    own(tmp_path / "a", labelled(1, label_kind="number"), tokenizer, ["LABEL_0"])
    assert dict(summarize_model(tmp_path / "a"))["labels"] == "1 number"
