"""Files of which no line can be answered, and columns that are not there."""

import io
import json
import os

import pytest

from cli.io.line_reader import LineReader
from cli.io.streams import has_arrived

pytestmark = pytest.mark.integration

LONG = b"one " * 99


def test_lines_that_all_fail_exit_with_4(transduce, translator):
    for quiet in ([], ["-q"]):
        ended = transduce("translate", *quiet, "-m", translator, stdin=LONG + b"\n" + LONG)
        assert (ended.code, ended.out) == (4, b"\n\n")
        told = ended.err.decode().splitlines()
        assert "line 1: " in told[0]
        assert told[1:] == ["transduce: lines without an answer: 2"]


@pytest.mark.parametrize("others", [b"", b"\n \n"])
def test_blank_lines_are_no_answers(transduce, translator, others):
    assert transduce("translate", "-m", translator, stdin=LONG + b"\n" + others).code == 4


def test_lines_of_which_one_is_answered_exit_with_0(transduce, translator):
    for stdin in (LONG + b"\none two\n", b"\n", b""):
        assert transduce("translate", "-m", translator, stdin=stdin).code == 0
    ended = transduce("translate", "--strict", "-m", translator, stdin=LONG + b"\none two\n")
    assert ended.code == 4


def test_scores_and_continuations_that_all_fail_exit_with_4(transduce, translator, writer):
    assert transduce("score", "-m", translator, stdin=b"one two\n").code == 4
    assert transduce("generate", "--lines", "-m", writer, stdin=LONG).code == 4


WRONG = {
    "t.jsonl": ('{"id": 1, "de": "a"}\n{"en": "b"}\n', "en", "line 1 has no field 'en'; it has"),
    "number.jsonl": ('{"id": 1, "en": "b"}\n', "id", "line 1: there is no text in 'id', but"),
    "t.json": ('[{"id": 1, "de": "a"}]', "en", "item 1 has no field 'en'; it has id, de"),
    "t.tsv": ("a\tb\n", "3", "line 1 has 2 columns; column 3 was requested"),
    "t.csv": ("a,b\n", "3", "line 1 has 2 columns; column 3 was requested"),
    "t.txt": ("a\tb\n", "7", "line 1 has 2 columns; column 7 was requested"),
    "names.csv": ("en,de\na,b\n", "fr", "no column 'fr'; its first line has en, de"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("command", ["translate", "embed", "classify", "tag", "fill", "score"])
def test_a_wrong_column_is_told_at_line_1(transduce, tmp_path, name, command):
    """Before a model is loaded: here there is none. So it is of a pipe that has a line."""
    text, column, told = WRONG[name]
    (tmp_path / name).write_text(text)
    options = ("--column", column, tmp_path / name)
    ended = transduce(command, "-m", tmp_path / "no-model", *options)
    assert (ended.code, ended.out) == (4, b"")
    assert told in ended.err.decode()
    assert len(ended.err.splitlines()) == 1
    if name in ("t.jsonl", "t.txt"):
        command = (command, "-m", tmp_path / "no-model", "--column", column)
        ended = transduce(*command, stdin=text.encode())
        assert (ended.code, ended.out) == (4, b"")
        assert told in ended.err.decode()


@pytest.mark.parametrize("stdin", ["-", "/dev/stdin"])
def test_a_pipe_is_looked_at_where_it_has_something(monkeypatch, stdin):
    """One that is empty is not waited for, and the line that is looked at is answered, too."""
    read, write = os.pipe()
    before = os.dup(0)
    stream = io.TextIOWrapper(os.fdopen(read, "rb"))
    monkeypatch.setattr("sys.stdin", stream)
    try:
        os.dup2(read, 0)
        assert not has_arrived(stdin)
        reader = LineReader([stdin])
        reader.check_first_records()
        os.write(write, b"one\xff\ntwo\n")
        assert has_arrived(stdin)
        reader.check_first_records()
        os.close(write)
        found = [(line.number, line.text, [*line.notices]) for line in reader]
        assert found == [(0, "one\ufffd", ["invalid_utf8"]), (1, "two", [])]
        assert has_arrived(stdin)  # its end
    finally:
        os.dup2(before, 0)
        os.close(before)
        stream.close()


def test_a_wrong_column_of_running_text_is_told_before_the_model_is_loaded(transduce, tmp_path):
    command = ("evaluate", "-m", tmp_path / "no-model", "--column", "nosuch", "--text")
    (tmp_path / "t.csv").write_text("en,de\na,b\n")
    ended = transduce(*command, tmp_path / "t.csv")
    assert (ended.code, b"has no column 'nosuch'" in ended.err) == (4, True)
    ended = transduce(*command, "-", stdin=b'{"en": "a"}\n')
    assert (ended.code, b"no field 'nosuch'" in ended.err) == (4, True)


@pytest.mark.parametrize("first", [{"error": "is long"}, {"text": None}, None, "x", [1]])
def test_a_first_record_without_a_text_of_another_reason_fails_alone(transduce, translator, first):
    lines = f"{json.dumps(first)}\n{json.dumps({'text': 'one two'})}\n"
    command = ("translate", "-m", translator, "--column", "text", "--json-input")
    ended = transduce(*command, stdin=lines.encode())
    assert ended.code == 0, ended.err
    assert ended.out.startswith(b"\n")
    assert b"lines without an answer: 1" in ended.err


def test_a_later_record_without_the_field_fails_alone(transduce, translator):
    lines = b'{"en": "one two"}\n{"de": "one"}\n{"en": "two"}\n'
    ended = transduce("translate", "-m", translator, "--column", "en", stdin=lines)
    assert ended.code == 0, ended.err
    assert ended.out.count(b"\n") == 3
    assert b"lines without an answer: 1" in ended.err


def test_an_evaluation_of_lines_that_all_fail_has_no_scores(transduce, translator, tmp_path):
    (tmp_path / "long.txt").write_bytes(LONG)
    (tmp_path / "short.txt").write_text("one\n")
    names = ("--source", tmp_path / "long.txt", "--reference", tmp_path / "short.txt")
    ended = transduce("evaluate", "-m", translator, *names)
    assert (ended.code, ended.out) == (4, b"")
    assert b"lines without an answer: 1" in ended.err
