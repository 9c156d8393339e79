"""Texts of files, of whatever kind: what is counted of each file, and what of training comes back."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.training.preparing import prepare, report
from tests.training.toys import toy_recipe

# Records of each kind: two that are read, and one that is left out.
KINDS = {
    "classification": (
        [{"text": "1 2", "label": "odd"}, {"text": "2 3", "label": "even"}],
        {"text": "ЖЖ", "label": "odd"},
    ),
    "tagging": (
        [{"tokens": ["1", "9"], "tags": ["B-low", "O"]}, {"tokens": ["8"], "tags": ["B-high"]}],
        {"tokens": ["ЖЖ"], "tags": ["O"]},
    ),
    "instructions": (
        [{"prompt": "1 2", "completion": "one"}, {"prompt": "2", "completion": "two"}],
        {"prompt": "3", "completion": ""},
    ),
}


@pytest.mark.parametrize("objective", KINDS)
def test_each_file_has_its_number_and_what_training_has_too_is_counted(objective, tmp_path) -> None:
    (first, second), unread = KINDS[objective]
    recipe = toy_recipe(tmp_path, objective, steps=1)
    (key,) = [
        name for name in ("labelled", "tagged", "conversations") if getattr(recipe.data, name)
    ]
    files = {}
    for name, records in {"a": [first, unread], "b": [second], "c": [second, unread]}.items():
        path = files[name] = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    texts = {key: [str(files["a"]), str(files["b"])], f"valid_{key}": [str(files["c"])]}
    data = replace(recipe.data, **texts, valid_fraction=0.0, max_unknown=1.0)
    made = report(prepare(replace(recipe, data=data), tmp_path / "run"))
    assert [(Path(each.name).stem, each.examples) for each in made.training.files] == [
        *(("a", 2), ("b", 1))
    ]
    assert [each.examples for each in made.validation.files] == [2]
    for part, kept, repeated in ((made.training, 2, 0), (made.validation, 1, 1)):
        assert (part.kept, sum(part.left_out.values())) == (kept, 1)
        assert part.in_training == repeated
