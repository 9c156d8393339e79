"""-q: no progress and no summary; what was lost, changed or ignored is told all the same."""

import json

import pytest

pytestmark = pytest.mark.integration

TRAIN = (
    *("--preset", "translate-tiny", "--steps", "2", "--set", "tokenizer.vocab_size=60"),
    *("--valid-fraction", "0"),
)


def ends(ended, *words):
    assert ended.code == 0, ended.err
    lines = ended.err.decode().splitlines()
    assert len(lines) == len(words), lines
    for line, word in zip(lines, words, strict=True):
        assert word in line


def test_a_filter(transduce, translator):
    stdin = b"one \xff two\n" + b"one " * 99 + b"\n" + "one 犬\n\u200b\n".encode()
    ends(
        transduce("translate", "-q", "-m", translator, "--stop", "犬", stdin=stdin),
        "--stop '犬' has no effect",
        "line 2: the line has",
        "invalid UTF-8, read as U+FFFD: 1",
        "invisible characters alone, left empty: 1",
        "characters that the model does not know: 1",
        "without an answer: 1",
    )


def test_summaries_are_silent(transduce, translator, tmp_path):
    ends(transduce("score", "-q", "-m", translator, stdin=b"one two\ttwo one\n"))
    ends(transduce("tokenizer", "train", "-q", "-o", tmp_path / "t.json", stdin=b"one two\n" * 9))
    ends(transduce("checkpoint", "convert", "-q", translator, "-o", tmp_path / "model"))
    ends(transduce("translate", "-q", "-m", translator, "--lookup", "--beam", "1", stdin=b"one\n"))


def test_training(transduce, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    text = "source\ttarget\n" + "one two\ttwo one\n" * 150 + "one\t\u3000\n"
    pairs.write_bytes(text.encode() + b"a \xff\tb\n")
    command = ("train", "-q", "--pairs", pairs, "-o", tmp_path / "run", "--device", "cpu")
    ends(
        transduce(*command, *TRAIN),
        "left out: 1 blank",
        "begins with names of columns",
        "invalid UTF-8",
    )
    (tmp_path / "run" / "run.json").unlink()
    ends(transduce("train", "-q", "-o", tmp_path / "run", "--resume"), "has lost its run.json")


def test_what_a_conversion_leaves_behind(transduce, translator, tmp_path):
    assert transduce("checkpoint", "convert", translator, "-o", tmp_path / "model").code == 0
    settings = tmp_path / "model" / "notes.json"
    settings.write_text(json.dumps({"kept": 1}))
    out = tmp_path / "other"
    command = ("checkpoint", "convert", "-q", tmp_path / "model", "--to", "transduce", "-o", out)
    ends(transduce(*command), "not carried over")
