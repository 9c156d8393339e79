"""Ctrl-C: in a filter, in a line that is half typed, and while an answer is written."""

import io
import os
import signal
import threading
import time
from collections import Counter

import pytest

from cli.io import typed_text
from cli.io.filter import line_source, reporting_early_end
from cli.io.line_progress import LineProgress
from cli.io.line_reader import LineReader
from cli.io.outputs import Writer
from cli.io.typed_text import stopped_by_interrupt, typed_texts
from tokenizer import CorpusCounts


@pytest.fixture(autouse=True)
def harmless():
    """A Ctrl-C that comes late does not end the tests; one is heard, also behind `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Endless(io.RawIOBase):
    """Two lines; once they are answered, Ctrl-C comes instead of a third."""

    def __init__(self) -> None:
        self.parts = ["one two\tsix\none €\tsix\n".encode()]
        self.answered, self.ended = threading.Semaphore(0), threading.Event()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self.parts:
            part = self.parts.pop()
            buffer[: len(part)] = part
            return len(part)
        for _ in range(2):
            self.answered.acquire(timeout=60)
        time.sleep(0.1)  # the next one is asked for
        os.kill(os.getpid(), signal.SIGINT)
        self.ended.wait(60)
        return 0


@pytest.mark.integration
@pytest.mark.parametrize("command", ["translate", "score", "embed", "generate --lines"])
def test_a_filter_tells_how_many_lines_it_answered(request, monkeypatch, tmp_path, command):
    transduce, translator, writer = map(
        request.getfixturevalue, ("transduce", "translator", "writer")
    )
    source, write, out = Endless(), Writer.line, tmp_path / "out"

    def line(self, text: str) -> None:
        write(self, text)
        source.answered.release()

    monkeypatch.setattr(Writer, "line", line)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(source)))
    model = writer if command.startswith("generate") else translator
    ended = transduce(*command.split(), "-m", model, "-o", out, stdin=None)
    source.ended.set()
    assert ended.code == 130
    assert len(out.read_text().splitlines()) == 2
    told = ended.err.decode().splitlines()
    assert told[-1] == f"transduce: interrupted; 2 lines were answered; {out} is incomplete"
    unknown = "transduce: lines with characters that the model does not know"
    told_of = any(line.startswith(unknown) for line in told)
    assert told_of == (model is translator)  # the other one knows all bytes


def test_one_line_is_no_lines() -> None:
    progress = LineProgress(enabled=False)
    source = line_source(LineReader(["-"]), progress, hint=None)
    with pytest.raises(KeyboardInterrupt) as caught, source:
        progress.advance()
        raise KeyboardInterrupt
    assert caught.value.__notes__ == ["1 line was answered"]


def test_an_early_end_tells_what_files_and_answers_lost(capsys) -> None:
    """Without any line that something happened to."""
    read = CorpusCounts()
    read.notice("columns that are not read: 2")
    ending = reporting_early_end(Counter(), read, lambda: ["fields that are replaced: id"])
    with pytest.raises(KeyboardInterrupt), ending:
        raise KeyboardInterrupt
    assert capsys.readouterr().err.splitlines() == [
        "transduce: columns that are not read: 2",
        "transduce: fields that are replaced: id",
    ]


@pytest.mark.integration
def test_an_error_of_a_later_line_hides_no_notice(transduce, writer):
    ended = transduce("tokenizer", "decode", "-t", writer, stdin=b"\xff\n")
    assert ended.code != 0
    assert ended.err.count(b"UTF-8") == 1


@pytest.mark.integration
def test_ctrl_c_at_typed_prompts_hides_no_notice(transduce, writer, monkeypatch):
    def interrupted(_session, _line, _arguments, counts, **_options):
        counts["unknown_read"] += 1
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.commands.generate._continue_prompts", interrupted)
    ended = transduce("generate", "-m", writer, "one")
    assert ended.code == 130
    assert ended.err.count(b"characters that the model does not know") == 1


class Keyboard(io.RawIOBase):
    """A terminal at which someone types lines, or Ctrl-C."""

    def __init__(self, keys: list[bytes | None]) -> None:
        self.keys = keys

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        key = self.keys.pop(0) if self.keys else b""
        if key is None:
            raise KeyboardInterrupt
        buffer[: len(key)] = key
        return len(key)


def test_without_editing_a_second_interrupt_ends_the_lines(monkeypatch, capsys) -> None:
    """The first one may have dropped a line that was begun."""
    keys = [b"one\n", None, b"two\n", None, None, b"three\n"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Keyboard(keys))))
    lines = typed_texts(CorpusCounts(), None)
    assert [next(lines), next(lines)] == ["one", "two"]
    with pytest.raises(KeyboardInterrupt):
        next(lines)
    assert capsys.readouterr().err == "> > \n> > \n> \n"


def test_an_edited_line_that_is_begun_is_dropped(monkeypatch, capsys) -> None:
    typed, begun = iter(["one", "half", "", "never"]), iter(["half", ""])

    def read(prompt: str) -> str:
        text = next(typed)
        if text != "one":
            raise KeyboardInterrupt
        return text

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr(typed_text, "_has_editing", lambda *, tabs: True)
    monkeypatch.setattr("readline.get_line_buffer", lambda: next(begun))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    lines = typed_texts(CorpusCounts(), None)
    assert next(lines) == "one"
    with pytest.raises(KeyboardInterrupt):
        next(lines)
    assert next(typed) == "never"
    assert capsys.readouterr().out == "\n\n"


def test_an_answer_that_is_written_is_stopped_and_its_line_ended() -> None:
    out = io.BytesIO()
    writer = Writer(lambda: out)
    with stopped_by_interrupt(writer):
        writer.piece("one tw")
        raise KeyboardInterrupt
    assert out.getvalue() == b"one tw\n"


@pytest.mark.integration
def test_keys_at_a_terminal(transduce, translator, in_terminal):
    """Ctrl-C drops a line that is begun; Tab writes nothing; Ctrl-C without a line ends."""
    command = ("translate", "-m", translator, "--device", "cpu", "--beam", "1")
    answer = transduce(*command, stdin=b"one two\n").out.decode().strip()
    program = in_terminal(*command, fresh=True)  # so are the signals of Python's readline

    def shows(*lines: str):
        return lambda terminal: terminal.display[-len(lines) :] == [*lines]

    program.wait_for(shows(">"))
    time.sleep(0.3)  # readline listens a moment after it shows its prompt
    program.type("half of\t it")
    program.wait_for(shows("> half of it"))
    time.sleep(0.3)  # Python's readline misses a signal between a key's echo and its next wait
    program.type("\x03")
    program.wait_for(lambda terminal: terminal.display[-1:] == [">"])
    time.sleep(0.3)
    program.type("one\t two\r")
    program.wait_for(shows("> one two", answer, ">"))
    time.sleep(0.3)
    program.type("\x03")
    assert program.wait() == 130
    assert program.terminal.lines[-1] == "transduce: interrupted"
