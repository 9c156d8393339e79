"""`classify`: labels of texts and of pairs, as columns and as records, one for each line."""

import json
from pathlib import Path

import pytest

from tests.label_models import LABELS, write_classifier
from transformer.labels.label_columns import TEXT_NAMES

LINES = "one two\n\ngrößer three four\n".encode()


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("classifiers")
    return {k: write_classifier(folder / k, k) for k in ("single", "multi", "number")}


@pytest.fixture
def run(transduce, folders):
    def go(*options, kind="single", stdin=LINES, code=0):
        model = folders[kind]
        ended = transduce("classify", "-m", model, *options, "--device", "cpu", stdin=stdin)
        assert ended.code == code, ended.err
        return ended

    return go


def rows(out: bytes) -> list[list[str]]:
    return [line.split("\t") for line in out.decode().split("\n")[:-1]]


def records(out: bytes) -> list[dict]:
    return [json.loads(line) for line in out.decode().split("\n")[:-1]]


def test_a_line_gets_its_likeliest_label_and_the_probability(run):
    first, blank, last = rows(run().out)
    assert first[0] in LABELS and last[0] in LABELS
    assert blank == [""]
    every = rows(run("--top-k", "9").out)[0]
    assert sorted(every[0::2]) == sorted(LABELS)
    chances = [float(x) for x in every[1::2]]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, abs=1e-5)
    assert every[:2] == first


def test_several_labels_are_those_above_the_threshold(run):
    every = rows(run("--threshold", "0", kind="multi").out)[0]
    assert sorted(every[0::2]) == sorted(LABELS)
    middle = sorted(float(x) for x in every[1::2])[1]
    some = rows(run("--threshold", str(middle - 1e-4), kind="multi").out)[0]
    assert some == every[:4]
    assert rows(run("--threshold", "1", kind="multi").out)[0] == [""]


def test_a_number_stands_alone(run):
    (first,), (blank,), _ = rows(run(kind="number").out)
    assert blank == ""
    record = records(run("--json", kind="number").out)[0]
    assert record["text"] == "one two"
    assert record["score"] == pytest.approx(float(first), abs=1e-6)


def test_a_record_has_the_labels_and_all_fields_of_its_line(run, tmp_path):
    first, blank, _ = records(run("--json", "--top-k", "2").out)
    assert [label.keys() for label in first["labels"]] == [{"label", "score"}] * 2
    assert blank == {"text": "", "labels": []}
    (tmp_path / "in.jsonl").write_text(
        '{"id": 7, "text": "one two", "labels": "mine"}\n{"id": 8}\n'
    )
    ended = run("--json", tmp_path / "in.jsonl")
    found, lacking = records(ended.out)
    assert found["id"] == 7
    assert found["labels"][0] == first["labels"][0]
    assert lacking["id"] == 8 and "text" in lacking["error"]


def test_pairs_are_two_columns_or_two_fields(run, tmp_path):
    lines = b"one\ttwo\none two\n"
    ended = run("--pairs", stdin=lines)
    pair, failed = rows(ended.out)
    assert failed == [""]
    assert b"line 2: the line has no tab" in ended.err
    (tmp_path / "in.jsonl").write_text('{"text": "one", "text_pair": "two"}\n')
    assert rows(run(tmp_path / "in.jsonl").out) == [pair]
    ended = run("--pairs", stdin=b"one\ttwo\teven\none\ttwo\n")  # with the answer beside it
    assert rows(ended.out) == [[""], pair]
    assert b"line 1: the line has 3 columns, where the two texts" in ended.err
    (tmp_path / "in.tsv").write_text("one\ttwo\teven\n")
    assert b"for a model of pairs: cut -f1,2 FILE" in run(tmp_path / "in.tsv", code=4).err
    assert rows(run(stdin=b"one two\n").out) != [pair]


@pytest.mark.parametrize("names", [n for n in TEXT_NAMES if len(n) == 2 and "text" not in n])
def test_names_of_columns_are_a_pair_too_which_is_told(run, tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    Path("in.tsv").write_text("\t".join(names) + "\none\ttwo\n")
    for ended in (run("--pairs", "in.tsv"), run("--pairs", stdin=Path("in.tsv").read_bytes())):
        assert len(rows(ended.out)) == 2
        assert ended.err.decode().partition(" begins ")[2] == (
            f"with names of columns ({', '.join(names)}), and is read as plain text: each line is "
            "a pair; tail -n +2 leaves out the first\n"
        )


def test_long_texts_are_cut_and_counted(run):
    ended = run(stdin=b"one " * 200 + b"\n")
    assert len(rows(ended.out)[0]) == 2
    assert b"truncated: 1" in ended.err


def test_other_models_are_refused(transduce, translator):
    ended = transduce("classify", "-m", translator, stdin=b"one\n")
    assert ended.code == 2
    assert b"cannot classify, which needs a classifier" in ended.err


def test_a_classifier_says_what_it_can_do(transduce, folders):
    ended = transduce("fill", "-m", folders["single"], stdin=b"one\n")
    assert ended.code == 2
    assert b"transduce classify -m" in ended.err
