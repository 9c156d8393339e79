"""Fields of tables and JSON: which of them come out again, and what is taken as an option."""

import json

import pytest

from cli.io.line_reader import LineReader
from cli.render.input_fields import InputFields
from tokenizer import CorpusCounts

pytestmark = pytest.mark.integration

OWN = ("score", "source", "n_best", "notices", "error", "alignments", "finish_reason")


def test_only_json_has_a_field_that_begins_answers(tmp_path):
    texts = {
        "t.csv": "text,prefix\na,b\n", "t.tsv": "text\tprefix\na\tb\n",
        "t.jsonl": '{"text": "a", "prefix": "b"}\n',
    }  # fmt: skip
    for name, content in texts.items():
        (tmp_path / name).write_text(content)
        (line,) = LineReader([str(tmp_path / name)], CorpusCounts())
        is_json = name == "t.jsonl"
        assert (line.text, line.prefix) == ("a", "b" if is_json else "")
        assert line.fields == ({} if is_json else {"prefix": "b"})


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_fields_of_a_user_that_an_answer_has_are_told_of(transduce, translator, tmp_path, name):
    """And never come out as if they were the answer's."""
    fields = {"text": "one two", "id": "7", **dict.fromkeys(OWN, "mine")}
    separator = "\t" if name == "t.tsv" else ","
    table = "".join(f"{separator.join(row)}\n" for row in (fields, fields.values(), ["one"] * 9))
    content = f"{json.dumps(fields)}\n" * 2 if name == "t.jsonl" else table
    (tmp_path / name).write_text(content)
    run = ("translate", "-m", translator, "--beam", "1", "--device", "cpu")
    ended = transduce(*run, "--json", tmp_path / name)
    record = json.loads(ended.out.splitlines()[0])
    assert (ended.code, record["id"], record["source"]) == (0, "7", "one two")
    assert "mine" not in record.values()
    (said,) = [line for line in ended.err.decode().splitlines() if "give way" in line]
    assert [field for field in OWN if f"{field} (2)" not in said] == []
    assert b"give way" not in transduce(*run, tmp_path / name).err


def test_fields_of_an_earlier_answer_are_replaced_without_a_word(transduce, translator):
    run = ("translate", "-m", translator, "--beam", "1", "--device", "cpu", "--json")
    earlier = transduce(*run, stdin=b"one two\n\n").out
    ended = transduce(*run, "--json-input", stdin=earlier)
    assert (ended.code, ended.out.count(b"\n")) == (0, 2)
    scored = transduce("score", "-m", translator, "--json", "--json-input", stdin=earlier)
    assert b"give way" not in ended.err + scored.err
    own = InputFields({"score"})
    assert own({"score": "mine", "id": 7}) == {"id": 7}
    assert own.notices() == [
        "fields of the input give way to the answer's own of the same name: score (1)"
    ]
