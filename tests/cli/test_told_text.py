"""Text that is compared, encoded or continued: what cannot be read, known or scored is counted."""

import json

import pytest
import sacrebleu

pytestmark = pytest.mark.integration

GERMAN = "größer grün für Tür über schön müde\n" * 30


@pytest.fixture
def files(tmp_path):
    """Names of files with such contents."""

    def write(**contents):
        paths = []
        for name, content in contents.items():
            paths.append(tmp_path / name)
            paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
        return paths

    return write


@pytest.mark.parametrize(
    "command",
    [
        "evaluate -m {translator} --source {bad} --reference {good}",
        "evaluate -m {translator} --source {good} --reference {bad}",
        "evaluate -m {writer} --text {bad}",
        "checkpoint verify {writer} {writer} --text {bad}",
        "tokenizer train {bad} -o {out}",
        "train --source {good} --target {bad} -o {out}",
    ],
)
def test_a_text_of_another_encoding_is_an_error_that_names_it(
    request, transduce, tmp_path, files, command
):
    models = {name: request.getfixturevalue(name) for name in ("translator", "writer")}
    good, bad = files(good=GERMAN, bad=GERMAN.encode("cp1252"))
    names = {**models, "good": good, "bad": bad, "out": tmp_path / "out"}
    ended = transduce(*(word.format(**names) for word in command.split()))
    assert (ended.code, ended.out) == (4, b"")
    assert b"is not UTF-8: 30 of 30 lines" in ended.err
    assert b"latin-1" in ended.err
    assert not (tmp_path / "out" / "run.json").exists()


def test_blank_lines_count_in_scores_as_sacrebleu_counts_and_are_told(transduce, translator, files):
    source = ["one two three", "", "four five six", "one six", "two two"]
    reference = ["three two one", "one", "\u200b", "\u3000", ""]
    texts = {"source": "\n".join(source) + "\n", "reference": "\n".join(reference) + "\n"}
    one, other = files(**texts)
    command = ("evaluate", "-m", translator, "--source", one, "--reference", other)
    ended = transduce(*command)
    answers = transduce("translate", "-m", translator, one).out.decode().split("\n")[:-1]
    bleu = sacrebleu.corpus_bleu(answers, [reference], force=True)
    assert ended.out.decode().startswith(f"bleu\t{bleu.score:.2f}\t")
    for said in (
        b"pairs with a blank source, which count in the scores; training leaves them out: 1\n",
        b"a blank reference, which count in the scores; training leaves them out: 3\n",
    ):
        assert said in ended.err
    assert b"invisible" not in ended.err
    told = transduce(*command, "--json")
    record = json.loads(told.out)
    assert record["bleu"]["score"] == pytest.approx(bleu.score)
    assert record["notices"] == {"blank_source": 1, "blank_reference": 3}
    assert (record["lines"], told.err) == (5, ended.err)


UNKNOWN = b"lines with characters that the model does not know: 2\n"


@pytest.mark.parametrize("options", [(), ("--pieces",)], ids=str)
def test_a_tokenizer_counts_what_it_does_not_know(transduce, translator, options):
    path = ("-t", translator / "tokenizer.json")
    stdin = "one two\n犬\none 犬\n".encode()
    coded = transduce("tokenizer", "encode", *path, *options, stdin=stdin)
    assert coded.err.endswith(UNKNOWN)
    known = transduce("tokenizer", "encode", *path, *options, stdin=b"one\n\xff\n")
    assert b"does not know" not in known.err
    assert b"invalid UTF-8, read as U+FFFD: 1" in known.err


def test_what_a_tokenizer_cannot_write_is_counted(transduce, translator):
    path = ("-t", translator / "tokenizer.json")
    ids = transduce("tokenizer", "encode", *path, stdin="one two\n犬\none 犬\n".encode()).out
    ended = transduce("tokenizer", "decode", *path, stdin=ids)
    assert ended.out.startswith(b"one two\n\n")
    assert ended.err == (
        b"transduce: lines with an answer that has unknown characters, which are left out of the "
        b"text: 2\n"
    )


@pytest.mark.parametrize("door", ["argument", "--file", "stdin"])
def test_invalid_text_of_a_prompt_is_counted(transduce, writer, files, door):
    raw = b"one \xff two"
    (file,) = files(prompt=raw)
    options = {
        "argument": [raw.decode("utf-8", "surrogateescape")],
        "--file": ["-f", file],
        "stdin": [],
    }[door]
    command = ("generate", "-m", writer, "-n", "2", "--device", "cpu", *options)
    stdin = raw if door == "stdin" else b""
    plain, record = (transduce(*command, *more, stdin=stdin) for more in ([], ["--json"]))
    for ended in (plain, record):
        assert b"invalid UTF-8, read as U+FFFD: 1" in ended.err
    assert json.loads(record.out)["notices"]["invalid_utf8"] is True


def test_nothing_to_compare_on_is_said(transduce, writer, files):
    (empty,) = files(empty="")
    ended = transduce("checkpoint", "verify", writer, writer, "--text", empty)
    assert (ended.code, ended.err.count(b"\n")) == (4, 1)
    assert b"empty" in ended.err


def test_an_error_in_encoding_text_is_no_name(monkeypatch, capsys):
    from cli import errors

    def fail(text):
        def program():
            text.encode()

        return program

    monkeypatch.setattr("sys.argv", ["transduce", "encode", "-o", "t\udcff.json"])
    assert errors._run(fail("a text \ud800")) == 1
    assert "unexpected UnicodeEncodeError" in capsys.readouterr().err
    assert errors._run(fail("folder/t\udcff.json")) == 3
    assert "a name is not UTF-8" in capsys.readouterr().err


def test_an_option_that_is_not_utf8_is_named(transduce, translator, writer):
    """The tokenizer, the grammar or a file's name was blamed, or nothing at all."""
    bad = b"a\xff".decode("utf-8", "surrogateescape")
    options = ("--must", "--bad-word", "--prefix", "--choice", "--stop", "--regex", "--suppress",
               "--from", "--to", "--column", "--device", "--length-penalty-kind")  # fmt: skip
    commands = [("translate", "-m", translator, name, bad) for name in options]
    commands += [
        ("translate", "-m", translator, "--bias", f"{bad}=1"),
        ("translate", "-m", translator, "--json-schema", f'{{"const": "{bad}"}}'),
        ("generate", "-m", writer, "--chat", "--system", bad),
        ("generate", "-m", writer, "--overflow", bad, "one"),
        ("embed", "-m", translator, "--prompt", bad),
        ("tokenizer", "train", "--special", bad),
        ("checkpoint", "convert", translator, "-o", "nowhere", "--to", bad),
    ]
    for words in commands:
        ended = transduce(*words, stdin=b"one\n")
        name = next(word for word in reversed(words) if str(word).startswith("--"))
        assert (ended.code, ended.out, ended.err.count(b"\n")) == (2, b"", 1), words
        assert ended.err.startswith(f"transduce: {name} is ".encode()), ended.err
        assert ended.err.endswith(b", which is not UTF-8; give it as UTF-8 text\n")
