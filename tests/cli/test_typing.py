"""Lines typed at a terminal, and texts as arguments."""

import io
import time

import pytest

from cli.io import typed_text
from cli.io.line_reader import TypedSource, typed_lines
from cli.io.text_arguments import looks_like_text, missing_file, named_inputs
from cli.io.typed_text import typed_texts
from tokenizer import CorpusCounts


class Keyboard(io.TextIOWrapper):
    """A stdin at which someone has typed something."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typing(monkeypatch):
    def typing(raw: bytes) -> None:
        monkeypatch.setattr("sys.stdin", Keyboard(io.BytesIO(raw)))

    return typing


def test_lines_are_read_one_by_one_where_they_cannot_be_edited(typing, capsys) -> None:
    typing(b"one\ntw\xff\n\nthree")
    counts = CorpusCounts()
    assert list(typed_texts(counts, "type")) == ["one", "tw\ufffd", "", "three"]
    assert (counts.lines, counts.replaced) == (4, 1)
    assert capsys.readouterr().err == "transduce: type\n> > > > > \n"


def test_edited_lines_may_hold_any_bytes(monkeypatch, capsys) -> None:
    typed = iter(["größer", "tw\udcff"])

    def read(prompt: str) -> str:
        for line in typed:
            return line
        raise EOFError

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr(typed_text, "_has_editing", lambda *, tabs: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    counts = CorpusCounts()
    assert list(typed_texts(counts, None)) == ["größer", "tw\ufffd"]
    assert counts.replaced == 1


def test_the_next_line_is_waited_for_once_the_last_has_its_answer(typing) -> None:
    typing(b"one\n\xff\n")
    source = TypedSource(typed_lines(CorpusCounts(), None))
    assert source.take(9, wait=False) == []
    (first,) = source.take(9, wait=True)
    (second,) = source.take(9, wait=True)
    assert (first.text, first.number, first.notices) == ("one", 0, {})
    assert (second.text, second.number, second.notices) == ("\ufffd", 1, {"invalid_utf8": True})
    assert source.take(9, wait=True) is None


TEXTS = [
    "A dog runs.",
    "Hund",
    "我是学生。",
    "Ends in a.k.a.",
    "Hund.",
    "I like node.js",
    "1 < 2",
    "é",
    "Er kam am 3/4 an",
]
FILES = [
    "data.txt",
    "texts/a",
    "a.b",
    "my file.txt",
    "/tmp/a b",
    "./a b",
    "news.en",
    "my news.en",
    "My Files/corpus v3",
    "a/b",
]


def test_texts_are_told_from_names_of_files(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not looks_like_text("corpus")  # where nobody is at a terminal
    assert looks_like_text("corpus", words=2)
    monkeypatch.setattr("sys.stdin", Keyboard(io.BytesIO()))
    assert [name for name in TEXTS + FILES if looks_like_text(name)] == TEXTS
    (tmp_path / "hunde").touch()
    assert looks_like_text("Katze")
    assert not looks_like_text("hund")  # the name of a file, mistyped
    assert "did you mean hunde?" in str(missing_file("hund"))
    assert "did you mean" not in str(missing_file("Katze"))
    assert looks_like_text("x" * 100_000)


QUOTE = "in quotation marks the shell leaves it as it is"


def test_files_that_are_there_are_read_and_texts_are_lines(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A dog runs.").write_text("text\n")
    assert named_inputs(None) == named_inputs([]) == ["-"]
    assert named_inputs(["A dog runs.", "-"]) == ["A dog runs.", "-"]
    assert capsys.readouterr().err == ""
    for arguments, read, told in [
        (["Two dogs run."], "Two dogs run.\n", "'Two dogs run.' is no file: it is taken as text"),
        (["Two", "dogs"], "Two dogs\n", f"'Two dogs' is no file: it is taken as text; {QUOTE}"),
        (
            ["Dogs", "run", "."],
            "Dogs run .\n",
            f"'Dogs run .' is no file: it is taken as text; {QUOTE}",
        ),
        (["a b", "c"], "a b\nc\n", "'a b' and 1 more are no files: they are taken as text"),
    ]:
        (name,) = named_inputs(arguments)
        with open(name) as stream:  # noqa: PTH123
            assert stream.read() == read
        assert capsys.readouterr().err == f"transduce: {told}\n"
    for arguments in (["A dog runs.", "Two dogs"], ["Two dogs", "data.txt"], ["-", "Two"]):
        with pytest.raises(FileNotFoundError):
            named_inputs(arguments)


@pytest.mark.integration
def test_a_text_as_an_argument_is_answered(transduce, translator, writer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    piped = transduce("translate", "-m", translator, stdin=b"one two three\n")
    named = transduce("translate", "-m", translator, "one two three")
    assert (named.code, named.out) == (0, piped.out)
    assert named.err == b"transduce: 'one two three' is no file: it is taken as text\n"
    assert transduce("translate", "-m", translator, "one", "two", "three").out == piped.out
    for command in (["embed"], ["score", "-q"]):
        piped = transduce(*command, "-m", translator, stdin=b"one\ttwo\n")
        assert transduce(*command, "-m", translator, "one\ttwo").out == piped.out != b""
    piped = transduce("tokenizer", "encode", "-t", translator, stdin=b"one two\n")
    named = transduce("tokenizer", "encode", "-t", translator, "one two")
    assert named.out == piped.out
    named = transduce("tokenizer", "decode", "-t", translator, named.out.decode().strip())
    assert named.out == b"one two\n"
    named = transduce("translate", "-m", translator, "--json-input", "not json")
    assert b"the argument" in named.err
    assert b"/dev/fd" not in named.err
    (tmp_path / "data.txt").write_text("one\n")
    wrong = transduce("translate", "-m", translator, "dat.txt")
    assert (wrong.code, wrong.out) == (3, b"")
    assert b"dat.txt: no such file or directory; did you mean data.txt?" in wrong.err
    said = transduce("generate", "-m", writer, "-n", "1", "data.txt")
    assert b"data.txt is a file, whose name is the prompt: --file reads its text" in said.err


def prompts(terminal) -> int:
    """The number of prompts, if the last line is one that waits."""
    lines = terminal.display
    return sum(line.startswith(">") for line in lines) if lines and lines[-1] == ">" else 0


@pytest.mark.integration
def test_a_terminal_says_what_to_type_and_has_editing_and_a_history(
    transduce, translator, in_terminal
):
    command = ("translate", "-m", translator, "--device", "cpu", "--beam", "1")
    first, second = transduce(*command, stdin=b"one two\none three\n").out.decode().splitlines()
    program = in_terminal(*command)
    keys = ["one two\r", "three\x1b[D\x1b[D\x1b[D\x1b[D\x1b[Done \r", "\x1b[A\x1b[A\r", "\x04"]
    for number, pressed in enumerate(keys, 1):
        program.wait_for(lambda terminal, number=number: prompts(terminal) == number)
        program.type(pressed)
    assert program.wait() == 0
    assert program.terminal.lines == [
        "transduce: type lines; Ctrl-D ends",
        *("> one two", first, "> one three", second, "> one two", first, ">"),
    ]


@pytest.mark.integration
def test_prompts_that_are_typed_are_continued_one_by_one(transduce, writer, in_terminal):
    command = ("generate", "-m", writer, "--device", "cpu", "-n", "3", "-t", "0")
    answer = transduce(*command, "one two").out.decode().splitlines()
    program = in_terminal(*command)
    for number, pressed in enumerate(["one two\r", "one " * 99 + "\r", "\x03"], 1):
        program.wait_for(lambda terminal, number=number: prompts(terminal) >= number)
        time.sleep(0.3)  # readline listens a moment after it shows its prompt
        program.type(pressed)
    assert program.wait() == 130
    lines = program.terminal.lines
    at = lines.index("transduce: type prompts; Ctrl-D ends")
    assert lines[at + 1 : at + 2 + len(answer)] == ["> one two", *answer]
    assert (
        "--overflow left" in program.terminal.text
    )  # of a prompt that is too long; another is typed
    assert lines[-1] == "transduce: interrupted"
