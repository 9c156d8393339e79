"""`tag`: spans of lines with their labels and characters, as columns and as records."""

import json
from pathlib import Path

import pytest

from tests.label_models import write_tagger

LINES = "one two, three\n\n  größer\tfour\n".encode()
TEXTS = LINES.decode().split("\n")[:-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tagger(tmp_path_factory.mktemp("taggers"))


@pytest.fixture
def run(transduce, folder):
    def go(*options, stdin=LINES):
        ended = transduce("tag", "-m", folder, *options, "--device", "cpu", stdin=stdin)
        assert ended.code == 0, ended.err
        return ended

    return go


def records(out: bytes) -> list[dict]:
    return [json.loads(line) for line in out.decode().split("\n")[:-1]]


def test_a_line_gets_its_spans_in_five_columns_each(run):
    lines = run().out.decode().split("\n")[:-1]
    assert len(lines) == 3 and lines[1] == ""
    for line, record in zip(lines, records(run("--json").out), strict=True):
        cells = line.split("\t") if line else []
        rows = [cells[n : n + 5] for n in range(0, len(cells), 5)]
        for row, span in zip(rows, record["spans"], strict=True):
            edges = [str(span["start"]), str(span["end"])]
            score = f"{span['score']:.6f}"
            assert row == [span["label"], " ".join(span["text"].split()), *edges, score]
        assert bool(rows) == bool(line)


def test_a_record_has_the_characters_of_the_line_and_its_fields(run, tmp_path):
    found = records(run("--json").out)
    assert [record["text"] for record in found] == TEXTS
    assert found[1] == {"text": "", "spans": []}
    for record in (found[0], found[2]):
        assert record["spans"]
        for span in record["spans"]:
            assert list(span) == ["label", "text", "start", "end", "score"]
            assert span["text"] == record["text"][span["start"] : span["end"]]
            assert span["label"] in {"city", "person"}
            assert 0 < span["score"] <= 1
    lines = [{"id": 7, "text": TEXTS[0], "spans": "mine"}, {"id": 8}]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    one, lacking = records(run("--json", tmp_path / "in.jsonl").out)
    assert (one["id"], one["spans"][0]["text"]) == (7, found[0]["spans"][0]["text"])
    assert lacking["id"] == 8 and "text" in lacking["error"]


def test_long_lines_are_whole(run):
    text = "one two three " * 40
    ended = run("--json", stdin=f"{text}\n".encode())
    (record,) = records(ended.out)
    assert "".join(s["text"] for s in record["spans"]).replace(" ", "") == text.replace(" ", "")
    assert b"truncated" not in ended.err


def test_words_and_the_lowest_probability_may_be_named(run):
    assert run("--threshold", "1").out == b"\n\n\n"
    (record,) = records(run("--json", "--words", "spaces", stdin=b"one, two\n").out)
    edges = {s[edge] for s in record["spans"] for edge in ("start", "end")}
    assert edges and 3 not in edges  # between the word and its comma


def test_other_models_are_refused(transduce, translator, folder):
    ended = transduce("tag", "-m", translator, stdin=b"one\n")
    assert ended.code == 2
    assert b"cannot tag, which needs a tagger" in ended.err
    ended = transduce("classify", "-m", folder, stdin=b"one\n")
    assert ended.code == 2
    assert b"transduce tag -m" in ended.err
