"""Labelled text in all its forms: what is read, what is decided, and what is told of it."""

import json
from pathlib import Path

import pytest

from tokenizer import CorpusCounts, CorpusError
from transformer.labels import LabelledFile, LabelValues, collect_labels, read_labelled

from .conftest import Write

TEXTS = ["a fine film", "no , not good", "so bad", "a dog and a cat", "it is good"]
LABELS = ["good", "bad", "bad", "neutral", "good"]
ROWS = [*zip(TEXTS, LABELS, strict=True)]
QUOTED = "".join(f'"{text}",{label}\n' for text, label in ROWS)


def read(path: str, *columns: str, separator: str | None = None) -> tuple[list, list[str]]:
    counts = CorpusCounts()
    found = [*read_labelled(LabelledFile(path, columns, separator), counts)]
    folder = f"{Path(path).parent}/"
    return found, [notice.replace(folder, "") for notice in counts.notices]


def as_rows(found: list) -> list[tuple[str, str]]:
    return [(text, label) for (text,), ((label,), _) in found]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("".join(f"{label}\t{text}\n" for text, label in ROWS), "t.tsv"),
        ("".join(f"{label}\t{text}\r\n" for text, label in ROWS), "t"),
        ("".join(f"{text}\t{label}\n" for text, label in ROWS), "t.tsv"),
        ("".join(f"{text}\t{label} \n" for text, label in ROWS)[:-2], "t.tsv"),
        (QUOTED, "t.csv"),
        ("sentence,Label\n" + QUOTED, "t.csv"),
        ("label;text\n" + "".join(f'{label};"{text}"\n' for text, label in ROWS), "t.csv"),
        ("id\ttext\tlabel\n" + "".join(f"7\t{t}\t{each}\n" for t, each in ROWS), "t.tsv"),
        ("".join(json.dumps({"text": t, "label": each}) + "\n" for t, each in ROWS), "t.jsonl"),
        ("".join(json.dumps({"label": each, "review": t}) + "\n" for t, each in ROWS), "t"),
        (json.dumps([{"text": t, "label": each} for t, each in ROWS], indent=1), "t.json"),
        ("".join(f"{label} {text}\n" for text, label in ROWS) * 2, "t.all"),
        ("".join(f"__label__{label} {text}\n" for text, label in ROWS), "t.train"),
    ],
)
def test_the_same_text_in_all_forms(write: Write, content: str, name: str) -> None:
    found, _ = read(write(content, name))
    assert as_rows(found)[:5] == ROWS


def test_the_choice_of_a_column_is_told_where_no_name_shows_it(write: Write) -> None:
    _, notices = read(write("".join(f"{text}\t{label}\n" for text, label in ROWS), "t.tsv"))
    (notice,) = notices
    assert notice == (
        "t.tsv: the label is column 2, with 3 different in the first 5 rows, the text is column 1 "
        "(--columns)"
    )
    _, notices = read(write("0 a b\n1 c\n0 d\n1 e\n"))
    assert notices == ["text: each line is a label, a space and a text"]
    _, notices = read(write("text,label,score\na,b,1\nc,d,2\n", "t.csv"))
    assert notices == ["t.csv: the label is label, and score not read (--columns)"]


def test_columns_that_are_named_are_read(write: Write) -> None:
    path = write("id,body,topic\n1,a b,x\n2,c d,y\n", "t.csv")
    assert as_rows(read(path, "body", "topic")[0]) == [("a b", "x"), ("c d", "y")]
    path = write("1\ta b\tx\n2\tc d\ty\n", "t.tsv")
    assert as_rows(read(path, "2", "3")[0]) == [("a b", "x"), ("c d", "y")]
    path = write('{"doc": {"body": "a"}, "y": 1}\n', "t.jsonl")
    assert as_rows(read(path, "doc.body", "y")[0]) == [("a", "1")]
    with pytest.raises(CorpusError, match=r"two columns, text and label, or three.*: text"):
        read(path, "text")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("sentence1\tsentence2\tscore\na\tb\t1.5\nc\td\t0\n", "t.tsv"),
        ('{"premise": "a", "hypothesis": "b", "label": 1.5}\n' * 1, "t.jsonl"),
        ("0.5\ta long\tb text\n1.5\tc other\td text\n", "t.tsv"),
    ],
)
def test_pairs_have_two_texts(write: Write, content: str, name: str) -> None:
    found, _ = read(write(content, name))
    assert {len(each.texts) for each in found} == {2}
    assert collect_labels(each.labels for each in found).kind == "number"


def test_several_labels(write: Write) -> None:
    path = write(
        '{"text": "a", "labels": ["x", "y", "x"]}\n{"text": "b", "labels": []}\n', "t.jsonl"
    )
    found, notices = read(path)
    assert [each.labels for each in found] == [
        LabelValues(("x", "y"), is_list=True),
        LabelValues((), is_list=True),
    ]
    assert notices == []
    path = write("text\tlabel\na\tx | y\nb\t\n", "t.tsv")
    assert [each.labels for each in read(path, separator="|")[0]] == [each.labels for each in found]
    (text,), labels = read(write("__label__x __label__y a b\n"))[0][0]
    assert (text, labels) == ("a b", LabelValues(("x", "y"), is_list=True))


def test_values_of_json_are_labels(write: Write) -> None:
    values = [True, 3, 0.5, " x "]
    lines = "".join(json.dumps({"text": "a", "label": each}) + "\n" for each in values)
    assert [label for _, label in as_rows(read(write(lines, "t.jsonl"))[0])] == [
        "true",
        "3",
        "0.5",
        "x",
    ]


def test_what_is_left_out_is_counted(write: Write) -> None:
    found, notices = read(write("text\tlabel\n \tx\na\t\nb\ty\n\n\u200b\tz\n", "t.tsv"))
    assert as_rows(found) == [("b", "y")]
    assert notices == ["t.tsv: 3 blank texts and 1 text without a label left out"]
    lines = '{"text": "a"}\n{"text": null, "label": "x"}\n\n{"text": "b", "label": null}\n'
    found, notices = read(
        write(lines + '{"text": "c", "label": "y"}\n', "t.jsonl"), "text", "label"
    )
    assert as_rows(found) == [("c", "y")]
    assert notices == ["t.jsonl: 1 blank text and 2 texts without a label left out"]


@pytest.mark.parametrize("header", ["kind", "kind of text"])
def test_a_row_of_names_that_nobody_knows_is_recognised(write: Write, header: str) -> None:
    rows = "".join(f"{label}\t{text}\n" for text, label in ROWS * 2)
    found, notices = read(write(f"{header}\tthe text\n{rows}", "t.tsv"))
    assert as_rows(found) == ROWS * 2
    (notice,) = notices
    assert notice == (
        f"t.tsv: its first row is taken for names of columns, as its label {header!r} is like no "
        "other; --columns 2,1 reads it"
    )
    assert len(read(write(f"{header}\tthe text\n{rows}", "t.tsv"), "2", "1")[0]) == 11
    found, _ = read(write("what\tgrade\na b\t1.5\nc\t2\n", "t.tsv"))
    assert as_rows(found) == [("a b", "1.5"), ("c", "2")]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a\nb\n", "t.txt", "has no labels: its first line has one column"),
        ("", "t.tsv", "has no text with a label"),
        ("text\tlabel\n", "t.tsv", "has no text with a label"),
        ("a\tb\tc\td\n", "t.tsv", "has a, b, c, d: which are text and label"),
        ('{"title": "a", "label": "x"}\n', "t.jsonl", "has title, label: which are text and label"),
        ('{"text": "a", "label": {"x": 1}}\n', "t.jsonl", "line 1: 'label' is no label"),
        ('{"text": "a", "labels": ["x", ""]}\n', "t.jsonl", "line 1: 'labels' is no label"),
        ('{"text": 1, "label": "x"}\n', "t.jsonl", "line 1: there is no text in 'text'"),
        ('{"text": "a", "label": "x"}\n{"label": "x"}\n', "t.jsonl", "line 2 has no field 'text'"),
        ('{"text": "a", "label": "x"}\n[1]\n', "t.jsonl", "line 2 is no object"),
        ('{"text": "a", "label": "x"}\nb\n', "t.jsonl", "line 2 is not JSON"),
        ("x\ta\ny\n", "t.tsv", "line 2 has 1 column"),
    ],
)
def test_what_is_no_labelled_text_is_one_error(
    write: Write, content: str, name: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read(write(content, name))


def test_known_labels_tell_their_column(tmp_path: Path) -> None:
    """Few rows, all different: a validation file is read by the labels of training."""
    path = tmp_path / "few.tsv"
    path.write_text("1 2\todd\n3\tprime\n2\teven\n")
    texts = list(read_labelled(LabelledFile(str(path), known=frozenset({"odd", "even"}))))
    assert [(each.texts, each.labels.values) for each in texts] == [
        (("1 2",), ("odd",)),
        (("3",), ("prime",)),
        (("2",), ("even",)),
    ]
