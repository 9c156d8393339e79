"""Labels to compare a model's with: those that it lacks, numbers of its own, none at all."""

import pytest

from tokenizer import CorpusError
from transformer.labels import LabelInventory, LabelledText, LabelValues, label_references

THREE = LabelInventory(("city", "person", "thing"))
MULTI = LabelInventory(("city", "person"), "multi")


def texts(*labels: str | list[str]) -> list[LabelledText]:
    return [
        LabelledText((f"text {n}",), LabelValues((each,)))
        if isinstance(each, str)
        else LabelledText((f"text {n}",), LabelValues(tuple(each), is_list=True))
        for n, each in enumerate(labels)
    ]


def test_labels_have_the_models_numbers() -> None:
    found = label_references(texts("thing", "city", "thing"), THREE, name="x")
    assert found.targets.tolist() == [2, 0, 2]
    assert (found.names, found.notices) == (THREE.names, [])


def test_a_label_that_the_model_lacks_counts_and_is_told() -> None:
    found = label_references(texts("thing", "river", "sea", "river"), THREE, name="x")
    assert found.names == (*THREE.names, "river", "sea")
    assert found.targets.tolist() == [2, 3, 4, 3]
    told = "x: 3 texts with a label that the model lacks, which counts as missed: 'river', 'sea'"
    assert found.notices == [told]


def test_of_several_labels_each_is_counted() -> None:
    found = label_references(texts(["person", "sea"], [], ["city"]), MULTI, name="x")
    assert found.targets.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert "1 text with a label that the model lacks" in found.notices[0]
    assert label_references(texts([], []), MULTI, name="x").targets.tolist() == [[0, 0]] * 2


def test_numbers_of_labels_are_taken_for_these_and_told() -> None:
    found = label_references(texts("2", "0"), THREE, name="x")
    assert (found.targets.tolist(), found.names) == ([2, 0], THREE.names)
    assert found.notices == ["x: labels are numbers of the model's: 0 'city', 2 'thing'"]
    numbered = LabelInventory(("1", "2", "3"))
    assert label_references(texts("2", "9"), numbered, name="x").targets.tolist() == [1, 3]
    for label in ("3", "-1", "01"):
        with pytest.raises(CorpusError, match="none of its labels"):
            label_references(texts("1", label), THREE, name="x")


def test_where_no_label_is_the_models_both_are_named() -> None:
    with pytest.raises(CorpusError) as refused:
        label_references(texts("sea", "river"), THREE, name="x")
    assert "none of its labels ('sea', 'river') is one of the model's ('city'," in str(
        refused.value
    )


def test_numbers_are_read_as_such() -> None:
    number = LabelInventory((), "number")
    found = label_references(texts("1.5", "-2"), number, name="x")
    assert found.targets.tolist() == [[1.5], [-2.0]]
    with pytest.raises(CorpusError, match="x: the label 'good' is no number"):
        label_references(texts("1", "good"), number, name="x")


def test_a_text_has_the_one_label_that_a_model_gives() -> None:
    found = label_references(texts(["thing"], []), THREE, name="x")
    assert len(found.texts) == 1
    assert found.notices == ["x: 1 text without a label left out"]
    with pytest.raises(CorpusError, match=r"a text has 2 labels \('city', 'thing'\); the model"):
        label_references(texts(["city", "thing"]), THREE, name="x")
    with pytest.raises(CorpusError, match="no text with a label"):
        label_references(texts([], []), THREE, name="x")
