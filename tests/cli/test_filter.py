"""The filter contract over generated streams of bytes: no line lost, added, swapped or changed."""

import io
import sys
import time
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.io.filter import filter_lines
from cli.io.line_reader import LineReader
from cli.options.common import LineIOOptions
from cli.render.answers import AnswerFormatter
from tests.pipelines.test_models import tiny_translator
from tokenizer import CorpusCounts
from tokenizer.text.encodings import find_encoding
from tokenizer.text.signatures import BINARIES, find_packing
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.read_ahead import ReadAhead
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

pytestmark = pytest.mark.integration

WORDS = [b"one", b"two", "größer".encode(), "日本".encode(), b"</s>", b"<pad>", b"<s>"]
ODD = [b"\r", b"\x00", b"\xff\xfe", b"\xf0\x9f\x98", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\x0c"]
PIECES = st.sampled_from([*WORDS, *ODD, b" ", b"\t", b"  "]) | st.binary(max_size=6)
LONG = st.builds(lambda word, times: word * times, st.sampled_from(WORDS), st.integers(1, 200))
LINES = st.lists(PIECES, max_size=6).map(b"".join) | LONG


def is_plain(stream: bytes) -> bool:
    """Return False for what begins like a format of its own, which test_formats.py is about."""
    binary = any(kind.pattern.match(stream) for kind in BINARIES)
    return not binary and not find_packing(stream) and find_encoding(stream) == (None, 0)


STREAMS = st.builds(
    lambda lines, end: b"\n".join(lines) + end,
    st.lists(LINES, max_size=24),
    st.sampled_from([b"", b"\n", b"\r\n", b"\n\n"]),
).filter(is_plain)


def lines_of(stream: bytes) -> list[str]:
    """What the contract calls lines, in other words than the program's."""
    parts = stream.split(b"\n")
    parts = parts[:-1] if parts[-1] == b"" else parts
    return [part.removesuffix(b"\r").decode("utf-8", "replace") for part in parts]


@pytest.fixture(scope="module")
def filtered():
    """Run a stream through the whole filter, on two engines; its lines, as read again."""
    loaded = tiny_translator()
    session, single = Session([loaded]), Session([loaded], max_engines=1)
    asked = TranslateArguments(beam=2, max_tokens=6, batch_tokens=64)

    def run(source, counts):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.get_num_threads", lambda: 2)
            return session.translate(source, asked, counts)

    def go(stream: bytes) -> list[str]:
        out = io.BytesIO()
        kept = sys.stdin, sys.stdout
        sys.stdin, sys.stdout = (io.TextIOWrapper(s) for s in (io.BytesIO(stream), out))
        try:
            with suppress(typer.Exit):  # with code 4 where no line has an answer
                options = LineIOOptions(quiet=True)
                filter_lines(LineReader(["-"]), options, run, AnswerFormatter(loaded))
            return out.getvalue().decode().split("\n")[:-1]
        finally:
            sys.stdin, sys.stdout = kept

    def alone(line: str) -> str:
        (answer,) = single.translate(IterableSource([line]), asked, Counter())
        return answer.outputs[0].text if answer.outputs else ""

    known: dict[str, str] = {}

    def check(stream: bytes) -> None:
        lines, found = lines_of(stream), go(stream)
        assert len(found) == len(lines)
        for line, answer in zip(lines, found, strict=True):
            if line not in known:
                known[line] = alone(line)
            assert answer == known[line]

    return check


FAST = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(STREAMS)
@settings(FAST, max_examples=60)
def test_every_line_has_its_own_answer(filtered, stream: bytes) -> None:
    filtered(stream)


@pytest.mark.slow
@given(STREAMS)
@settings(FAST, max_examples=10_000)
def test_ten_thousand_streams(filtered, stream: bytes) -> None:
    filtered(stream)


class Typed(io.RawIOBase):
    """Bytes that come slowly."""

    def __init__(self, parts: list[bytes], pause: float) -> None:
        self.parts, self.pause = parts, pause

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self.parts:
            return 0
        time.sleep(self.pause)
        part = self.parts.pop(0)
        buffer[: len(part)] = part
        return len(part)


def test_a_reader_gives_what_is_there_and_waits_only_when_asked(monkeypatch) -> None:
    stdin = SimpleNamespace(buffer=io.BufferedReader(Typed([b"one\ntw", b"o\n", b"three"], 0.05)))
    monkeypatch.setattr(sys, "stdin", stdin)
    reader = LineReader(["-"], CorpusCounts(), column=None, as_json=False)
    with ReadAhead(reader) as source:
        assert source.take(9, wait=False) == []
        assert [line.text for line in source.take(9, wait=True)] == ["one"]
        assert [line.text for line in source.take(9, wait=True)] == ["two"]
        assert [line.text for line in source.take(9, wait=True)] == ["three"]
        assert source.take(9, wait=True) is None
