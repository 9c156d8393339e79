"""Tables and JSON at the doors of every command that answers lines, and streams named twice."""

import json
import os
import threading

import pytest

from cli.io.line_reader import LineReader
from tests.tokenizer.text.test_formats import quoted
from tokenizer import CorpusCounts

pytestmark = pytest.mark.integration

TEXTS = ["one two three", "four, five", 'six "seven"', "two; one", ""]
BROKEN = "one\ntwo"  # only CSV and JSON can have it
RECORDS = [{"id": str(n), "text": text} for n, text in enumerate(TEXTS)]


def table(separator: str, end: str = "\n", texts: list[str] = TEXTS) -> str:
    rows = [["id", "text"], *([str(n), text] for n, text in enumerate(texts))]
    if separator == "\t":
        return "".join(f"{'	'.join(row)}{end}" for row in rows)
    return "".join(separator.join(quoted(cell, separator) for cell in row) + end for row in rows)


TABLES = {
    "t.tsv": table("\t").encode(),
    "windows.tsv": b"\xef\xbb\xbf" + table("\t", "\r\n").encode(),
    "t.csv": table(",").encode(),
    "europe.csv": table(";", "\r\n").encode(),
    "marked.csv": b"sep=;\r\n" + table(";", "\r\n").encode(),
    "excel.csv": table("\t", "\r\n").encode("utf-16"),
    "t.txt": table(",").encode(),
    "t.json": json.dumps(RECORDS).encode(),
    "indented.json": json.dumps(RECORDS, indent=2).encode(),
    "lines.json": "".join(json.dumps(record) + "\n" for record in RECORDS).encode(),
    "t.jsonl": "".join(json.dumps(record) + "\n" for record in RECORDS).encode(),
    "t.ndjson": "".join(json.dumps(record) + "\n\n"[:1] for record in RECORDS).encode(),
    "array.jsonl": json.dumps(RECORDS).encode(),
}
EVIDENT = [name for name in TABLES if name != "t.txt"]
COMMANDS = {
    "translate": ["translate", "-m", "{translator}", "--beam", "1", "--device", "cpu"],
    "generate": ["generate", "-m", "{writer}", "--lines", "-n", "3", "-t", "0", "--device", "cpu"],
    "score": ["score", "-m", "{writer}", "--device", "cpu"],
    "embed": ["embed", "-m", "{translator}", "--device", "cpu"],
    "encode": ["tokenizer", "encode", "-t", "{translator}"],
}


@pytest.fixture
def answer(transduce, translator, writer):
    """A command's run on a file, if there is one, else on stdin."""

    def run(command, *options, file=None, stdin=b""):
        models = {"translator": translator, "writer": writer}
        words = [str(word).format(**models) for word in COMMANDS[command]]
        named = [] if file is None else ["-f", file] if command == "generate" else [file]
        return transduce(*words, *options, *named, stdin=stdin)

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_reads_the_texts_of_tables_and_json(answer, tmp_path, command):
    """By name of the file and of the column, and from a pipe, as those texts on lines."""
    wanted = answer(command, stdin="".join(f"{text}\n" for text in TEXTS).encode())
    assert (wanted.code, wanted.out.count(b"\n")) == (0, len(TEXTS))
    for name in TABLES if command == "encode" else ("t.tsv", "t.csv", "indented.json", "t.jsonl"):
        (tmp_path / name).write_bytes(TABLES[name])
        named = answer(command, "--column", "text", file=tmp_path / name)
        assert (named.code, named.out) == (0, wanted.out), (name, named.err)
        if name in EVIDENT:
            found = answer(command, file=tmp_path / name)
            assert (found.code, found.out) == (0, wanted.out), (name, found.err)
    for name in ("t.csv", "t.tsv", "t.json", "t.jsonl") if command == "encode" else ("t.csv",):
        piped = answer(command, "--column", "text", stdin=TABLES[name])
        assert (piped.code, piped.out) == (0, wanted.out), (name, piped.err)
    for name in ("t.json", "indented.json", "t.jsonl") if command == "encode" else ("t.json",):
        piped = answer(command, stdin=TABLES[name])
        assert b"stdin begins with JSON, and its texts are read" in piped.err
        assert (piped.code, piped.out) == (0, wanted.out), (name, piped.err)


def test_a_cell_with_line_breaks_is_one_record_with_one_answer(answer, tmp_path):
    (tmp_path / "t.csv").write_text(table(",", texts=["one", BROKEN, "two"]))
    ended = answer("translate", "--json", file=tmp_path / "t.csv")
    records = [json.loads(line) for line in ended.out.splitlines()]
    assert [(record["id"], record["source"]) for record in records] == [
        ("0", "one"), ("1", BROKEN), ("2", "two"),
    ]  # fmt: skip
    assert answer("translate", file=tmp_path / "t.csv").out.count(b"\n") == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "id,en,de\n1,one,two\n", ["3 columns", "id, en, de", "--column", "--plain"]),
        ("t.json", '[{"en": "a", "de": "b"}]', ["no field 'text'", "en, de", "--column"]),
        ("t.jsonl", '{"en": "a", "de": "b"}\n', ["no field 'text'", "en, de", "--column"]),
        ("t.json", '{"data": [{"text": "a"}]}', ["one JSON object", '.["data"][]', "jq"]),
        (
            "t.json",
            '{"version": "1.1",\n"data": [{"text": "a"}]}',
            ["one JSON object", "data", "jq"],
        ),
        ("t.json", '{"en": "a",\n"de": "b"}', ["one JSON object", "array of objects"]),
        ("t.json", "one two\n", ["no JSON", "array of objects"]),
    ],
)
def test_a_table_without_an_evident_text_is_refused(answer, tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    for command in COMMANDS:
        ended = answer(command, file=tmp_path / name)
        assert (ended.code, ended.out, ended.err.count(b"\n")) == (4, b"", 1), ended.err
        assert [word for word in [name, *words] if word not in ended.err.decode()] == []


def test_a_tsv_without_a_column_is_refused_but_by_score(answer, tmp_path):
    (tmp_path / "t.tsv").write_text("one two\ttwo one\nthree\tfour\n")
    for command in COMMANDS:
        ended = answer(command, file=tmp_path / "t.tsv")
        if command == "score":
            assert (ended.code, ended.out.count(b"\n")) == (0, 2)
        else:
            assert (ended.code, ended.out) == (4, b"")
            assert b"t.tsv has 2 columns; its first line has one two, two one" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_whole_lines_of_tables_and_json_are_read_on_request(answer, tmp_path, command):
    lines = '[{"text": "one"},\n{"text": "two"}]\n'
    (tmp_path / "t.json").write_text(lines)
    found = answer(command, "--plain", file=tmp_path / "t.json")
    (tmp_path / "t.txt").write_text(f"\n{lines}")  # which no longer begins with JSON at once
    assert found.code == 0
    assert found.out.count(b"\n") == 2
    assert answer(command, "--plain", stdin=lines.encode()).out == found.out


def test_a_bad_record_fails_alone(answer, tmp_path):
    contents = {
        "t.csv": "id,text\n1,one\n2\n3,two\n",
        "one.csv": "text\none\ntwo, three\nfour\n",
        "t.tsv": "id\ttext\n1\tone\n2\n3\ttwo\n",
        "t.jsonl": '{"text": "one"}\n{"id": 2}\n{"text": "two"}\n',
        "t.json": '[{"text": "one"}, {"text": null}, {"text": "two"}]',
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        ended = answer("translate", "--column", "text", file=tmp_path / name)
        lines = ended.out.decode().split("\n")[:-1]
        assert [bool(line) for line in lines] == [True, False, True], name
    ended = answer("translate", file=tmp_path / "one.csv")
    assert [bool(line) for line in ended.out.decode().split("\n")[:-1]] == [True, False, True]
    assert b"line 3 has 2 columns, the first line 1" in ended.err


def test_rows_of_unequal_width_without_names_are_refused(answer, tmp_path):
    (tmp_path / "t.csv").write_text("one two\nthree, four\nfive\n")
    for command in COMMANDS:
        ended = answer(command, file=tmp_path / "t.csv")
        assert (ended.code, ended.out, ended.err.count(b"\n")) == (4, b"", 1), ended.err
        assert b"rows of 1 to 2 columns" in ended.err
        assert b"--plain reads whole lines" in ended.err


@pytest.mark.parametrize("options", [("--column", "2"), ("--column", "text"), ()])
def test_what_was_assumed_of_a_first_row_is_said(answer, tmp_path, options):
    (tmp_path / "t.csv").write_text("id,text\n1,one\n")
    ended = answer("translate", *options, file=tmp_path / "t.csv")
    assert ended.out.count(b"\n") == (2 if "2" in options else 1)
    said = (
        "begins with names of columns (id, text), which are"
        if "2" in options
        else "first row names the"
    )
    assert said in ended.err.decode()


@pytest.mark.parametrize("stdin", ["id,text\n1,one\n", "id\ttext\n1\tone\n", '{"en": "one"}\n'])
def test_plain_text_that_begins_like_a_table_gets_a_notice(answer, stdin):
    ended = answer("translate", stdin=stdin.encode())
    assert ended.out.count(b"\n") == stdin.count("\n")
    assert b"stdin begins with" in ended.err
    assert b"is read as plain text: --column NAME" in ended.err


def test_pairs_to_score_come_from_json_and_csv_too(answer, tmp_path, transduce, translator):
    options = ("score", "-m", translator, "--device", "cpu")
    wanted = transduce(*options, stdin=b"one two\ttwo one\n")
    (tmp_path / "t.csv").write_text("source,text\none two,two one\n")
    (tmp_path / "t.json").write_text('[{"source": "one two", "text": "two one"}]')
    for name in ("t.csv", "t.json"):
        assert transduce(*options, tmp_path / name).out == wanted.out


def test_evaluate_reads_the_texts_of_tables(transduce, translator, tmp_path):
    (tmp_path / "s.txt").write_text("one two three\nfour, five\n")
    (tmp_path / "t.txt").write_text("three two one\nfive, four\n")
    (tmp_path / "s.csv").write_text('id,text\n1,one two three\n2,"four, five"\n')
    (tmp_path / "t.json").write_text('[{"text": "three two one"}, {"text": "five, four"}]')

    def evaluate(source, reference):
        files = ("--source", tmp_path / source, "--reference", tmp_path / reference)
        return transduce("evaluate", "-m", translator, *files)

    assert evaluate("s.csv", "t.json").out == evaluate("s.txt", "t.txt").out != b""
    (tmp_path / "t.tsv").write_text("1\tthree two one\n2\tfive, four\n")
    for names in (("t.tsv", "t.txt"), ("s.txt", "t.tsv")):
        ended = evaluate(*names)
        assert (ended.code, ended.out) == (4, b"")
        assert b"t.tsv has 2 columns; its first line has 1, three two one: give a" in ended.err
    (tmp_path / "en.csv").write_text("en\none two\n")
    for name in ("de.csv", "de.txt"):
        (tmp_path / name).write_text("de\ntwo one\n")
        ended = evaluate("en.csv", name)
        assert (ended.code, b"names of columns (en, de): leave" in ended.err) == (4, True)
    (tmp_path / "en.txt").write_text("en\none two\n")
    ended = evaluate("en.txt", "de.txt")
    assert ended.code == 0
    assert b"names of columns (en, de), which are scored as a pair" in ended.err


@pytest.mark.parametrize(
    "command",
    [
        "train -o {run} --source - --target -",
        "train -o {run} --source /dev/stdin --target -",
        "train -o {run} --source /dev/fd/0 --target /proc/self/fd/0",
        "train -o {run} --pairs - --valid-pairs /dev/stdin",
        "train -o {run} --objective language-model --text - --valid-text -",
        "train -o {run} --source {pipe} --target {pipe}",
        "tokenizer train -o {run} - -",
        "tokenizer train -o {run} {pipe} {pipe}",
        "translate -m {model} - /dev/stdin",
        "translate -m {model} - --glossary /dev/stdin",
        "score -m {model} - -",
        "embed -m {model} - -",
        "evaluate -m {model} --source - --reference /dev/stdin",
    ],
)
def test_two_names_of_one_stream_are_refused_before_any_work(
    tmp_path, translator, transduce, monkeypatch, command
):
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDWR)  # so that nobody waits for a writer
    names = {"run": tmp_path / "run", "pipe": tmp_path / "pipe", "model": translator}
    read, write = os.pipe()
    os.write(write, b"one\tone\n")
    os.close(write)
    stdin = os.dup(0)
    os.dup2(read, 0)
    monkeypatch.setattr("sys.stdin", os.fdopen(0, closefd=False))
    try:
        ended = transduce(*command.format(**names).split(), stdin=None)
    finally:
        os.dup2(stdin, 0)
        for descriptor in (stdin, read, held):
            os.close(descriptor)
    assert (ended.code, ended.out) == (2, b""), ended.err
    assert b"can be read only once" in ended.err
    assert ended.err.count(b"\n") == 1
    assert not (tmp_path / "run").exists()


def test_items_of_an_array_are_answered_as_they_come(monkeypatch):
    read, write = os.pipe()
    found = []
    with os.fdopen(read) as stdin, os.fdopen(write, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", stdin)
        lines = iter(LineReader(["-"], CorpusCounts(), column=None, as_json=False))
        for part in (b"[", b'{"te', b'xt": "one"}\n', b',{"text": "two"}\n', b"]\n"):
            pipe.write(part)
            if part.endswith(b"}\n"):
                thread = threading.Thread(target=lambda: found.append(next(lines).text))
                thread.start()
                thread.join(5)
        assert found == ["one", "two"]
        pipe.close()
        assert list(lines) == []
