"""Texts that are answered: a format decided by whole lines, however a pipe cuts them."""

import gzip
import io
import json

import pytest

from tokenizer import CorpusCounts
from tokenizer.text import FILTER_COLUMNS, Columns, read_filter_lines, read_filter_records

NAMED = Columns(("text",), answered=True)
PLAIN = ["[1] Smith said so.", "[]", "[ ]", "{}", "[a] {b}", "[", "[[", '[{"a" b}]', "[{x", '["a"]']


class Parts(io.RawIOBase):
    """A pipe whose writer flushes the parts of a text one by one, and then waits."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self._parts, self._ends = [part for part in parts if part], ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        if not self._parts:
            assert self._ends, "more was asked for than a line"
            return 0
        part = self._parts.pop(0)
        buffer[: len(part)] = part
        return len(part)


@pytest.fixture
def records(monkeypatch):
    def records(*parts: bytes, ends=True, columns=FILTER_COLUMNS, **options):
        pipe = io.BufferedReader(Parts(*parts, ends=ends), 1 << 16)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        return read_filter_records("-", CorpusCounts(), columns, **options)

    return records


def texts(found):
    return [(record.texts, str(record.error)) for record in found]


@pytest.mark.parametrize(
    ("text", "columns", "wanted"),
    [
        ('{"id": 1, "text": "A dog."}\n{"text": "B"}\n', FILTER_COLUMNS, ["A dog.", "B"]),
        ('\ufeff{"id": "[", "text": "A"}', FILTER_COLUMNS, ["A"]),
        ('[{"id": 1, "text": "A"},\n {"text": "B"}]\n', FILTER_COLUMNS, ["A", "B"]),
        ('[\n {\n  "text"\n:\n "A"\n }\n]\n', FILTER_COLUMNS, ["A"]),
        ('[{"text": "A"}]\n[1]\n', FILTER_COLUMNS, ['[{"text": "A"}]', "[1]"]),
        ('{"text": "A"} is JSON\n', FILTER_COLUMNS, ['{"text": "A"} is JSON']),
        ('\n{"text": "A"}\n', FILTER_COLUMNS, ["", '{"text": "A"}']),
        ('\n\n{"text": "A"}\n', NAMED, ["", "", "A"]),
        ("id,name,text\r\n1,x,A\r\n", NAMED, ["A"]),
        ("id\ttext\n1\tA\n", NAMED, ["A"]),
        ("[]\n", NAMED, []),
        *((f"{line}\nx\n", FILTER_COLUMNS, [line, "x"]) for line in PLAIN),
    ],
)
def test_a_format_does_not_depend_on_where_a_pipe_cuts_a_text(records, text, columns, wanted):
    raw = text.encode()
    whole = texts(records(raw, columns=columns))
    assert [found for (found,), _ in whole] == wanted
    for at in range(1, len(raw)):
        assert texts(records(raw[:at], raw[at:], columns=columns)) == whole, raw[:at]
    assert texts(records(*(raw[at : at + 1] for at in range(len(raw))), columns=columns)) == whole


def test_a_long_first_record_is_waited_for(records):
    raw = json.dumps({"id": "x" * 40_000, "text": "A"}).encode() + b"\n"
    parts = [raw[at : at + 4096] for at in range(0, len(raw), 4096)]
    assert [record.texts for record in records(*parts)] == [("A",)]
    assert [record.texts for record in records(gzip.compress(raw))] == [("A",)]


@pytest.mark.parametrize(
    "line", ["A dog.", "", " ", "[1] Smith", "[]", "{", "{}", '["a"]', '{"text": "A"}', "BM", "\0"]
)
def test_a_line_is_answered_as_soon_as_it_is_whole(records, line):
    """Someone is typing, or waits for the answer."""
    raw = f"{line}\n".encode()
    for parts in ([raw], [raw[:1], raw[1:]]):
        assert next(records(*parts, ends=False)).error is None


def test_a_whole_line_is_no_json_to_wait_for(monkeypatch):
    pipe = io.BufferedReader(Parts(b'[{"a": 1}]\n', ends=False))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
    assert next(read_filter_lines("-", CorpusCounts())) == '[{"a": 1}]'


def test_utf16_without_a_mark_is_seen_wherever_a_pipe_cuts_it(monkeypatch):
    """By the zeros of a whole line: a few bytes have too few."""
    raw = "a plain text\nof words\n".encode("utf-16-le")
    for at in range(1, len(raw)):
        pipe = io.BufferedReader(Parts(raw[:at], raw[at:]), 1 << 16)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        assert [*read_filter_lines("-", CorpusCounts())] == ["a plain text", "of words"], at
