"""Labels have an order that no file decides, and a kind that the data or a user does."""

import pytest

from tokenizer import CorpusError
from transformer.errors import UnknownNameError
from transformer.labels import (
    LabelInventory,
    LabelValues,
    UnseenLabels,
    collect_labels,
    parse_number,
    sort_labels,
)


def values(*labels: str) -> list[LabelValues]:
    return [LabelValues((label,)) for label in labels]


def test_the_order_of_texts_changes_no_id() -> None:
    found = collect_labels(values("neutral", "bad", "good", "bad"))
    assert found == LabelInventory(("bad", "good", "neutral"), "single")
    assert found.ids == {"bad": 0, "good": 1, "neutral": 2}
    assert collect_labels(values("good", "bad", "neutral")) == found
    assert sort_labels(["11", "2", "-1"]) == ["-1", "2", "11"]
    assert sort_labels(["I-b", "O", "B-b", "S-a", "NOUN"]) == ["O", "NOUN", "S-a", "B-b", "I-b"]


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (values("0", "1", "10"), "single"),
        (values("1", "2.5"), "number"),
        (values("-1.0", "1e3", ".5", "7"), "number"),
        (values("1.0", "x"), "single"),
        ([LabelValues(("a",), is_list=True), LabelValues((), is_list=True)], "multi"),
        ([LabelValues(("a",)), LabelValues(("a", "b"), is_list=True)], "multi"),
    ],
)
def test_the_kind_is_told_by_the_labels(labels: list[LabelValues], kind: str) -> None:
    assert collect_labels(labels).kind == kind


def test_a_kind_that_is_given_wins() -> None:
    assert collect_labels(values("1", "2"), "number") == LabelInventory((), "number")
    assert collect_labels(values("1.5", "2"), "single").names == ("1.5", "2")
    assert collect_labels(values("a"), "multi") == LabelInventory(("a",), "multi")
    with pytest.raises(UnknownNameError, match="did you mean multi"):
        collect_labels(values("a"), "mutli")


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([], None, "no text with a label in x.tsv"),
        (values("a", "a"), None, "x.tsv: all texts have the label 'a'"),
        (values("1", "a"), "number", "x.tsv: the label 'a' is no number"),
        (values("1", "1e999"), "number", "the label '1e999' is no number"),
        ([LabelValues((), is_list=True)], None, "no text has a label"),
        ([LabelValues(("a", "b"), is_list=True)], "single", "several labels; the kind multi"),
    ],
)
def test_labels_that_tell_nothing_apart_are_refused(
    labels: list[LabelValues], kind: str | None, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        collect_labels(labels, kind, name="x.tsv")


def test_a_label_for_each_text_is_suspicious() -> None:
    notices: list[str] = []
    collect_labels(values(*map(str, range(60))), name="x.tsv", notices=notices)
    assert notices == ["x.tsv: 60 labels in 60 texts, such as '0': are they the right column?"]
    collect_labels(values(*(str(n % 60) for n in range(120))), notices=notices)
    assert len(notices) == 1


def test_labels_that_training_lacks_are_told() -> None:
    unseen = UnseenLabels(LabelInventory(("a", "b")), "valid.tsv")
    assert [unseen.check(each) for each in (["a"], ["x"], ["b", "x"], ["y"])] == [
        True,
        False,
        False,
        False,
    ]
    assert unseen.texts == 3
    assert unseen.notice() == (
        "valid.tsv: 3 texts with a label that the training text lacks left out: 'x', 'y'"
    )
    numbers = UnseenLabels(LabelInventory((), "number"), "valid.tsv")
    assert numbers.check(["2.5"])
    assert numbers.notice() is None


def test_a_number_is_finite() -> None:
    assert [parse_number(each, "x") for each in ("1", "-2.5", "+.5e1")] == [1, -2.5, 5]
    for text in ("nan", "inf", "1_0", "", "0x1", "1e999"):
        with pytest.raises(CorpusError, match="is no number"):
            parse_number(text, "x")
