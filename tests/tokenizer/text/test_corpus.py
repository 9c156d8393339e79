"""Reading text: every line survives, whatever is in it; what cannot be used says so."""

import gzip
import io
import json
from pathlib import Path

import pytest

from tokenizer import (
    CorpusCounts,
    CorpusError,
    TextFile,
    read_all,
    read_documents,
    read_lines,
    read_pairs,
)
from tokenizer.text.lines import MAX_LINE_BYTES

ODD_SIGNS = "a\u2028b\x0bc\x0cd\x85e\rf\x1cg\x00h"


@pytest.fixture
def write(tmp_path):
    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def read(path, column=None, *, plain=False):
    counts = CorpusCounts()
    return list(read_lines(TextFile(path, column, plain), counts)), counts


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a\nb\n", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("a\n\n \n", ["a", "", " "]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\r\r\nb\r", ["a\r", "b"]),
        (f"{ODD_SIGNS}\nz\n", [ODD_SIGNS, "z"]),
        ("\x00\n\x00\x00\n", ["\x00", "\x00\x00"]),
    ],
)
@pytest.mark.parametrize("name", ["text.txt", "text.gz"])
def test_lines_end_at_a_newline_byte_and_nowhere_else(write, content, lines, name):
    raw = content.encode()
    path = write(gzip.compress(raw) if name.endswith(".gz") else raw, name)
    assert read(path, plain=True) == (lines, CorpusCounts(lines=len(lines)))


def test_a_dash_is_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\x85\r\nb\xff")))
    assert read("-", plain=True) == (["a\ufffd", "b\ufffd"], CorpusCounts(lines=2, replaced=2))


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"caf\xe9", "caf\ufffd"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"cut \xf0\x9f\x98", "cut \ufffd"),
        (b"surrogate \xed\xa0\x80", "surrogate \ufffd\ufffd\ufffd"),
    ],
)
def test_invalid_utf8_is_replaced_and_its_lines_counted(write, raw, line):
    found, counts = read(write(b"good\n" + raw + b"\nlast \xc3\xa9\n"), plain=True)
    assert found == ["good", line, "last é"]
    assert counts == CorpusCounts(lines=3, replaced=1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-4],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:12] + bytes(byte ^ 0xFF for byte in raw[12:60]) + raw[60:],
        lambda raw: raw[:-6] + b"\0" + raw[-5:],
    ],
    ids=["tail cut", "cut in half", "bytes changed", "checksum changed"],
)
def test_a_damaged_gzip_file_is_a_corpus_error_that_names_it(write, damage):
    text = "".join(f"line {number}\n" for number in range(1000)).encode()
    path = write(damage(gzip.compress(text)), "text.txt.gz")
    with pytest.raises(CorpusError, match=r"text\.txt\.gz is a damaged gzip file"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "column", "lines"),
    [
        ("t.tsv", "text\tb\r\nc\td\n", None, ["c"]),
        ("t.tsv", "a\tb\r\nc\td\n", "2", ["b", "d"]),
        ("t.tsv", "a\t\tc\n", "2", [""]),
        ("t.txt", "a\tb\n", "2", ["b"]),
        ("t.jsonl", '{"text": "a\\nb"}\n{"text": "é\\u0000"}\n', None, ["a\nb", "é\x00"]),
        ("t.ndjson", '{"de": "a", "en": "b"}\r\n', "en", ["b"]),
    ],
)
def test_a_column_is_taken_by_number_or_by_field(write, name, content, column, lines):
    assert read(write(content, name), column)[0] == lines
    packed = write(gzip.compress(content.encode()), f"{name}.gz")
    assert read(packed, column)[0] == lines


@pytest.mark.parametrize(
    ("name", "line", "column", "words"),
    [
        ("t.tsv", "a\tb", "3", ["line 2", "2 columns", "column 3"]),
        ("t.tsv", "a\tb", "0", ["numbers from 1", "'0'"]),
        ("t.tsv", "a\tb", "de", ["numbers from 1", "'de'", "a, b, c"]),
        ("t.jsonl", '{"de": "a"}', "en", ["line 2", "no field 'en'", "has de", "--column"]),
        ("t.jsonl", '{"text": 3}', None, ["line 2", "no text in 'text'", "a number"]),
        ("t.jsonl", '["text"]', None, ["line 2", "no field 'text'", "has none"]),
        ("t.jsonl", "{text: a}", None, ["line 2", "not JSON"]),
        pytest.param("t.jsonl", "[" * 100_000, None, ["line 2", "not JSON"], id="deep JSON"),
    ],
)
def test_a_column_that_is_not_there_is_a_corpus_error(write, name, line, column, words):
    good = "a\tb\tc" if name == "t.tsv" else json.dumps({"text": "a", "en": "b"})
    path = write(f"{good}\n{line}\n", name)
    with pytest.raises(CorpusError) as caught:
        read(path, column)
    assert [word for word in [name, *words] if word not in str(caught.value)] == []


def test_a_lone_surrogate_in_json_is_replaced_and_counted(write):
    found, counts = read(write(r'{"text": "a\ud800b"}', "t.jsonl"))
    assert [line.encode() for line in found] == ["a\ufffdb".encode()]
    assert counts.replaced == 1


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["LF", "CRLF", "none"])
@pytest.mark.parametrize("more", [0, 1, 2, MAX_LINE_BYTES, 3 * MAX_LINE_BYTES + 7])
def test_a_line_beyond_the_limit_is_cut_and_the_next_ones_are_whole(write, more, end):
    after = b"after\n" if end else b""
    content = b"before\n" + b"x" * (MAX_LINE_BYTES + more) + end + after
    found, counts = read(write(content), plain=True)
    assert found == ["before", "x" * MAX_LINE_BYTES, *(["after"] if after else [])]
    assert counts == CorpusCounts(lines=len(found), shortened=int(more > 0))


def test_a_carriage_return_just_beyond_the_limit_ends_no_line(write):
    found, counts = read(write(b"x" * MAX_LINE_BYTES + b"\ry\nz\n"), plain=True)
    assert (found, counts.shortened) == (["x" * MAX_LINE_BYTES, "z"], 1)


def test_a_line_is_cut_between_characters(write):
    content = "é" * MAX_LINE_BYTES + "\nx" + "é" * MAX_LINE_BYTES
    found, counts = read(write(content), plain=True)
    assert [set(line) for line in found] == [{"é"}, {"x", "é"}]
    assert counts == CorpusCounts(lines=2, shortened=2)


def test_sources_are_read_one_after_another(write):
    texts = [
        TextFile(write("a\nb", "1.txt")),
        TextFile(write("", "2.txt")),
        TextFile(write("c\n", "3.txt")),
    ]
    assert list(read_all(texts)) == ["a", "b", "c"]


def test_pairs_match_line_for_line_across_files(write):
    sources = [TextFile(write("a\n\n", "s1.txt")), TextFile(write("c", "s2.txt"))]
    targets = [TextFile(write("1\t2\n3\t4\n5\t6\n", "t.tsv"), "2")]
    assert list(read_pairs(sources, targets)) == [("a", "2"), ("", "4"), ("c", "6")]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("shorter", [0, 1, 1000])
def test_pairs_of_different_length_are_an_error_that_names_both_counts(write, shorter, swapped):
    sides = [
        TextFile(write("a\n" * 1234, "long.txt")),
        TextFile(write("b\n" * shorter, "short.txt")),
    ]
    pairs = read_pairs(*([side] for side in (sides[::-1] if swapped else sides)))
    with pytest.raises(CorpusError, match=rf"long.txt has 1,234 lines.*short.txt has {shorter:,}"):
        list(pairs)


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 16])
@pytest.mark.parametrize("ends", ["\n", ""])
def test_chunks_put_together_are_the_file_with_a_final_newline(write, size, ends):
    lines = [f"line {n} {ODD_SIGNS}" if n % 3 else "" for n in range(50)]
    content = "\n".join(["first", *lines, "last"])
    found = list(read_documents(TextFile(write(content + ends)), size=size))
    chunks = [chunk.text for chunk in found]
    assert [chunk.ends_document for chunk in found] == [False] * (len(found) - 1) + [True]
    assert "".join(chunks) == content + "\n"
    assert all(chunk.endswith("\n") for chunk in chunks)
    assert all(len(chunk) < size + 60 for chunk in chunks)


def test_each_record_of_a_table_is_a_chunk_of_its_own(write):
    path = write('{"text": "a\\nb"}\n{"text": "c"}\n', "t.jsonl")
    assert list(read_documents(TextFile(path))) == [("a\nb", True, True), ("c", True, True)]


def test_an_empty_file_has_no_chunks(write):
    assert list(read_documents(TextFile(write("")))) == []


@pytest.mark.parametrize("path", ["missing.txt", "missing.gz", "."])
def test_what_is_no_file_is_an_os_error_that_names_it(tmp_path, path):
    with pytest.raises(OSError, match=str(tmp_path)):
        list(read_lines(TextFile(str(Path(tmp_path, path)))))
