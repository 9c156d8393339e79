"""Texts of files, of whatever kind: what is counted of each, and what training has too."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.label_models import write_classifier
from tests.training.preparing import latin, prepare, report
from tests.training.toys import toy_recipe
from tokenizer import CorpusError
from transformer.labels import LabelInventory, LabelledText, LabelValues
from transformer.loading import load_model
from transformer.training.labelled_corpus import LabelledGroup
from transformer.training.labelled_encoding import LabelledEncoder
from transformer.training.objectives import OBJECTIVES

# Records of each kind: two that are read, and one that is left out.
KINDS = {
    "classification": (
        [{"text": "one two", "label": "odd"}, {"text": "two", "label": "even"}],
        {"text": "ЖЖ", "label": "odd"},
    ),
    "tagging": (
        [
            {"tokens": ["one", "two"], "tags": ["B-low", "O"]},
            {"tokens": ["three"], "tags": ["B-high"]},
        ],
        {"tokens": ["ЖЖ"], "tags": ["O"]},
    ),
    "instructions": (
        [{"prompt": "one two", "completion": "one"}, {"prompt": "two", "completion": "two"}],
        {"prompt": "three", "completion": ""},
    ),
}


@pytest.mark.parametrize("objective", KINDS)
def test_each_file_has_its_number_and_what_training_has_too_is_counted(objective, tmp_path) -> None:
    (first, second), unread = KINDS[objective]
    recipe = toy_recipe(tmp_path, objective, steps=1)
    key = OBJECTIVES[objective].texts[0]
    files = {}
    for name, records in {"a": [first, unread], "b": [second], "c": [second, unread]}.items():
        path = files[name] = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    texts = {key: [str(files["a"]), str(files["b"])], f"valid_{key}": [str(files["c"])]}
    data = replace(recipe.data, **texts, valid_fraction=0.0, max_unknown=1.0)
    made = report(prepare(replace(recipe, data=data, tokenizer=latin(tmp_path)), tmp_path / "run"))
    assert [(Path(each.name).stem, each.examples) for each in made.training.files] == [
        *(("a", 2), ("b", 1))
    ]
    assert [each.examples for each in made.validation.files] == [2]
    for part, kept, repeated in ((made.training, 2, 0), (made.validation, 1, 1)):
        assert (part.kept, sum(part.left_out.values())) == (kept, 1)
        assert part.in_training == repeated


@pytest.mark.parametrize(
    ("text", "labels", "reason"),
    [
        ("one", (), "none of the 2 texts has a label"),
        ("", ("odd",), "the tokenizer knows nothing of any of the 2 texts with labels"),
    ],
)
def test_the_reason_why_nothing_is_kept_is_the_true_one(text, labels, reason, tmp_path) -> None:
    texts = load_model(write_classifier(tmp_path / "m"), device="cpu").texts
    encoder = LabelledEncoder(texts, LabelInventory(("even", "odd"), "single"), max_tokens=9)
    unread = LabelledText((text,), LabelValues(labels, is_list=True))
    with pytest.raises(CorpusError, match=reason):
        encoder.write([LabelledGroup("a", iter([unread] * 2))], tmp_path)
