"""Records: what their contents say is read, under any name; columns by name or number."""

import csv
import gzip
import io
import json
from collections import Counter

import pytest

from tokenizer import (
    CorpusCounts,
    CorpusError,
    TextFile,
    read_all,
    read_columns,
    read_documents,
    read_lines,
)
from tokenizer.text.columns import Columns
from tokenizer.text.formats import FORMATS
from tokenizer.text.lines import MAX_LINE_BYTES, MAX_RECORD_BYTES, CorpusLines
from tokenizer.text.sources import decoded

PAIRS = [("a dog", "ein Hund"), ('she said "no', 'sie sagte "nein'), ("", "leer"), ("x, y", "é; z")]
RECORDS = [{"id": n, "en": en, "de": de} for n, (en, de) in enumerate(PAIRS)]


def quoted(cell: object, separator: str) -> str:
    text = str(cell)
    special = '"' in text or separator in text or "\n" in text
    return '"' + text.replace('"', '""') + '"' if special else text


def csv_of(separator: str) -> str:
    rows = [["id", "en", "de"], *([r["id"], r["en"], r["de"]] for r in RECORDS)]
    return "".join(separator.join(quoted(cell, separator) for cell in row) + "\r\n" for row in rows)


NESTED = [{"id": r["id"], "translation": {"en": r["en"], "de": r["de"]}} for r in RECORDS]
CONTENTS = {
    "tsv": "id\ten\tde\n" + "".join(f"{r['id']}\t{r['en']}\t{r['de']}\n" for r in RECORDS),
    "csv": csv_of(","),
    "csv with semicolons": csv_of(";"),
    "jsonl": "".join(json.dumps(r) + "\n" for r in RECORDS),
    "jsonl, nested": "".join(json.dumps(r) + "\n" for r in NESTED),
    "json": json.dumps(RECORDS),
    "json, indented": json.dumps(RECORDS, indent=2, ensure_ascii=False),
    "json, nested": json.dumps(NESTED, indent=1),
}
NAMES = ["t.txt", "t", "t.tsv", "t.jsonl", "t.json", "t.csv"]


@pytest.fixture
def write(tmp_path):
    def write(content, name):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("name", NAMES)
def test_named_columns_are_read_under_any_name(write, kind, name):
    if kind == "csv with semicolons" and name != "t.csv":
        pytest.skip("semicolons are text but in a file named .csv")
    if kind == "tsv" and name == "t.csv":
        pytest.skip("a quotation mark is one of CSV in a file named .csv")
    for content in (CONTENTS[kind], gzip.compress(CONTENTS[kind].encode())):
        path = write(content, name)
        assert [*read_columns(path, ["en", "de"])] == PAIRS
        assert [*read_columns(path, ["de", "en"])] == [pair[::-1] for pair in PAIRS]
        assert [*read_lines(TextFile(path, "de"))] == [de for _, de in PAIRS]
        assert [chunk.text for chunk in read_documents(TextFile(path, "en"))] == [
            en for en, _ in PAIRS
        ]


@pytest.mark.parametrize("kind", ["jsonl, nested", "json, nested"])
def test_dots_lead_into_nested_objects(write, kind):
    path = write(CONTENTS[kind], "t")
    assert [*read_columns(path, ["translation.en", "translation.de"])] == PAIRS


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_missing_column_lists_those_that_are_there(write, kind):
    path = write(CONTENTS[kind], "t.csv" if "semicolons" in kind else "t")
    nested = "translation." if "nested" in kind else ""
    with pytest.raises(CorpusError, match=rf"no .* 'fr'; .*id, {nested}en, {nested}de"):
        list(read_columns(path, ["en", "fr"]))


def test_columns_by_number_leave_the_first_row_in(write):
    first = [("en", "de")]
    for kind, name in (("tsv", "t.txt"), ("csv", "t.csv")):
        assert [*read_columns(write(CONTENTS[kind], name), ["2", "3"])] == first + PAIRS


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("t.tsv", "a\tb\nc\td\n", [("a", "b"), ("c", "d")]),
        ("t.tsv", "a\tb\tc\n", [("a", "b")]),
        ("t.csv", 'a,"b, c"\n', [("a", "b, c")]),
        ("t.csv", '"one\ntwo",b\n', [("one\ntwo", "b")]),
        ("t", '{"en": "a", "de": "b"}\n', [("a", "b")]),
        ("t", '{"id": 7, "de": "a", "en": "b"}\n', [("a", "b")]),
        ("t", '[{"translation": {"en": "a", "de": "b"}, "url": "c"}]', [("a", "b")]),
    ],
)
def test_pairs_without_names_are_the_first_two(write, name, content, rows):
    assert [*read_columns(write(content, name), [])] == rows


def test_more_than_two_texts_need_names(write):
    path = write('{"id": "7", "en": "a", "de": "b"}\n', "t")
    with pytest.raises(CorpusError, match=r"have id, en, de: name the two .* --columns"):
        list(read_columns(path, []))


@pytest.mark.parametrize(
    ("name", "content", "all_columns", "lines"),
    [
        ("t.tsv", "a\nc\n", False, ["a", "c"]),
        ("t.tsv", "id\ttext\n7\ta\n", False, ["a"]),
        ("t.tsv", "id\ttext\n7\ta\n", True, ["a"]),
        ("t.tsv", "a\tb\nc\td\n", True, ["a", "b", "c", "d"]),
        ("t.txt", "a\tb\n", True, ["a\tb"]),
        ("t.csv", "id,text\n7,a\n", False, ["a"]),
        ("t.csv", "id,text\n7,a\n", True, ["a"]),
        ("t.csv", "a,b\n", True, ["a", "b"]),
        ("t.txt", '{"text": "a"}\n', True, ["a"]),
        ("t.txt", '[{"text": "a"}, {"text": "b"}]\n', False, ["a", "b"]),
        ("t.txt", '{"no": "a"}\n', False, ['{"no": "a"}']),
        ("t.txt", "{not JSON}\n", False, ["{not JSON}"]),
        ("t.txt", "[a list]\n", False, ["[a list]"]),
        ("t.json", "[]", False, []),
        ("t.jsonl", "", False, []),
        ("t.csv", "", False, []),
    ],
)
def test_text_without_a_column_is_the_only_or_named_text(write, name, content, all_columns, lines):
    assert [*read_all([TextFile(write(content, name))], all_columns=all_columns)] == lines


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", "text,n\na, b,1\n", ["3 columns", "not read in 1 row"]),
        ("t.txt", '{"no": "a"}\n', ["begins with JSON", "column"]),
    ],
)
def test_what_is_not_read_is_noticed_once(write, name, content, words):
    counts = CorpusCounts()
    for _ in range(2):
        list(read_lines(TextFile(write(content, name)), counts))
    assert len(counts.notices) == 1
    assert [word for word in words if word not in counts.notices[0]] == []


def test_a_notice_names_stdin(monkeypatch):
    counts = CorpusCounts()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"no": "a"}\n')))
    list(read_lines(TextFile("-"), counts))
    assert counts.notices[0].startswith("stdin begins with JSON, and is read as plain text")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", '{"en": "a", "de": "b"}\n\n{"en": null, "de": "c"}\n \n'),
        ("t.tsv", "a\tb\n\n\tc\n \n"),
        ("t.csv", "a,b\n\n,c\n \n"),
    ],
)
def test_blank_lines_and_null_are_empty_texts(write, name, content):
    assert [*read_columns(write(content, name), [])] == [("a", "b"), ("", ""), ("", "c"), ("", "")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", 'a,"b\nc,d\n', ["not CSV"]),
        ("t.csv", 'a,"b"c\n', ["line 1", "not CSV"]),
        ("t.tsv", "a\tb\nc\n", ["line 2", "1 column"]),
        ("t.json", '[{"en": "a", "de": "b"}', ["after 1 item", "end of the file"]),
        ("t.json", '[{"en": "a", "de": "b"}, {"en": ', ["after 1 item", "breaks off"]),
        ("t.json", '[{"en": "a", "de": "b"} x]', ["after 1 item", "'x'"]),
        ("t.json", '[{"en": "a", "de": "b"}] x', ["after 1 item", "follows the array"]),
        ("t.json", '{"en": "a",\n"de": "b"}', ["one JSON object", "array of objects"]),
        ("t.json", "[" + '{"a":' * 100_000, ["nested too deeply"]),
        ("t.jsonl", "x\n", ["line 1", "not JSON"]),
        ("t.jsonl", '{"en": "a", "de": 3}\n', ["name the two"]),
    ],
    ids=str.split(
        "open cell,after quotes,short row,no end,cut,no comma,more,object,deep,text,number", ","
    ),
)
def test_damaged_records_are_one_clear_error(write, name, content, words):
    with pytest.raises(CorpusError) as caught:
        list(read_columns(write(content, name), []))
    assert [word for word in [name, *words] if word not in str(caught.value)] == []


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_a_name_that_two_columns_have_is_refused_if_it_is_asked_for(write, name):
    separator = "\t" if name == "t.tsv" else ","
    path = write("en,de,en\na,b,c\n".replace(",", separator), name)
    with pytest.raises(CorpusError, match=r"2 columns 'en', the numbers 1 and 3: give the number"):
        list(read_columns(path, ["en", "de"]))
    assert [*read_lines(TextFile(path, "de"))] == ["b"]


@pytest.mark.parametrize("separator", [",", ";"])
def test_pairs_without_tabs_are_csv_under_any_name(write, separator):
    content = "".join(
        f"{quoted(one, separator)}{separator}{quoted(other, separator)}\n" for one, other in PAIRS
    )
    for name in ("t", "t.txt", "t.tsv", "t.csv"):
        counts = CorpusCounts()
        assert [*read_columns(write(content, name), [], counts)] == PAIRS
        assert [*read_columns(write(content, name), ["2", "1"])] == [pair[::-1] for pair in PAIRS]
        said = [] if name == "t.csv" else [f"{'commas' if separator == ',' else 'semicolons'}"]
        assert [word for word in said if word not in " ".join(counts.notices)] == []
        assert len(counts.notices) == len(said)


@pytest.mark.parametrize("content", ["one, two\nthree\n", "one\ntwo\n", "a, b\nc, d, e\n"])
def test_prose_is_no_csv_of_pairs(write, content):
    with pytest.raises(CorpusError, match=r"line 1 has 1 column; .* commas do in files named"):
        list(read_columns(write(content, "t.txt"), []))


@pytest.mark.parametrize(
    "content", ["a;b, c, d\ne;f\n", "sep=;\na;b, c, d\ne;f\n", 'a;"b, c, d"\n"e";f\n']
)
def test_the_delimiter_is_the_one_of_all_rows(write, content):
    assert [*read_columns(write(content, "t.csv"), [])] == [("a", "b, c, d"), ("e", "f")]


def test_an_array_of_texts_is_read_in_a_file_of_json(write):
    path = write('["a", "b\\nc", ""]', "t.json")
    assert [*read_lines(TextFile(path))] == ["a", "b\nc", ""]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("inner", ["\n", "\r\n", "\r", "\r\r\n", "\n\r\n"])
def test_line_ends_within_a_cell_are_kept(write, end, inner):
    for last in (end, ""):
        path = write(f'a,"b{inner}c"{end}d,"{inner}"{end}e,f{last}', "t.csv")
        assert [*read_columns(path, [])] == [("a", f"b{inner}c"), ("d", inner), ("e", "f")]


def test_a_row_of_names_alone_is_said(write):
    counts = CorpusCounts()
    assert [*read_lines(TextFile(write("id,text\n", "t.csv"), "text"), counts)] == []
    assert "has a row of names (id, text), and no other" in counts.notices[0]


def test_columns_beyond_those_of_the_first_row_are_not_dropped_without_a_word(write):
    counts = CorpusCounts()
    assert [*read_lines(TextFile(write("a\nb\tc\nd\t\n", "t.tsv")), counts)] == ["a", "b", "d"]
    assert "line 2 has 2 columns, the first line 1" in counts.notices[0]
    assert "not read in 1 row" in counts.notices[0]
    assert len(counts.notices) == 1


@pytest.mark.parametrize(("name", "names"), [("t.tsv", []), ("t.csv", ["1", "2"])])
def test_wider_rows_are_one_notice_with_their_number(write, name, names):
    rows = "a,b\n" + "c,d,\n" + "e,f,g\n" * 2000 + "h,i\n"
    path = write(rows.replace(",", "\t") if name == "t.tsv" else rows, name)
    counts = CorpusCounts()
    assert len([*read_columns(path, names, counts)]) == 2003
    assert len(counts.notices) == 1
    assert "line 3 has 3 columns" in counts.notices[0]
    assert "not read in 2,000 rows" in counts.notices[0]
    counts = CorpusCounts()
    reader = read_columns(path, names, counts)
    assert [next(reader) for _ in range(4)][3] == ("e", "f")
    reader.close()
    assert "not read in 2 rows" in counts.notices[0]


@pytest.mark.parametrize("damage", ["'x'", "nul", "{'a': 1}", '{"a" 1}', '{"a": "b\nc"}'])
def test_what_is_no_json_is_seen_where_it_stands(write, damage):
    """And not after the rest was read into memory."""
    read = 0

    class Counting(io.BytesIO):
        def read1(self, size=-1):
            nonlocal read
            chunk = super().read1(size)
            read += len(chunk)
            return chunk

    items = ", ".join(json.dumps({"text": "x" * 100}) for _ in range(100_000))
    raw = f'[{{"text": "a"}}, {damage}, {items}]'.encode()
    lines = CorpusLines("t", decoded("t", Counting(raw), corpus=True), CorpusCounts())
    with pytest.raises(CorpusError, match="after 1 item, one is not JSON"):
        list(FORMATS["json"].layout.records(lines, Columns()))
    assert read < 3 * MAX_LINE_BYTES


def test_an_item_without_an_end_is_given_up_at_the_limit(write, monkeypatch):
    monkeypatch.setattr("tokenizer.text.json_records.MAX_RECORD_BYTES", 1 << 16)
    with pytest.raises(CorpusError, match="after 1 item, one is longer than"):
        list(read_lines(TextFile(write('[{"text": "a"}, {"text": "' + "x\\n" * (1 << 20), "t"))))


def test_the_names_of_a_deep_record_are_listed(write):
    deep = '{"a":' * 900 + "1" + "}" * 900
    with pytest.raises(CorpusError, match=r"no field 'text'; it has a\.a\.a"):
        list(read_lines(TextFile(write(deep + "\n", "t.jsonl"))))


def test_reading_csv_leaves_what_other_readers_of_the_process_are_allowed(write):
    limit = csv.field_size_limit()
    list(read_columns(write("a,b\n", "t.csv"), []))
    assert csv.field_size_limit() == limit >= MAX_RECORD_BYTES
    big = "x" * 300_000
    assert [*read_columns(write(f"a,{big}\n", "t.csv"), [])] == [("a", big)]
    csv.field_size_limit(limit + 1)
    try:
        list(read_columns(write("a,b\n", "t.csv"), []))
        assert csv.field_size_limit() == limit + 1
    finally:
        csv.field_size_limit(limit)


def test_a_record_longer_than_a_line_of_a_filter_is_whole(write):
    text = "word " * (2 * MAX_LINE_BYTES // 5)
    for content in (json.dumps({"text": text}) + "\n", json.dumps([{"text": text}])):
        path = write(content, "t")
        assert [*read_lines(TextFile(path))] == [text]
        chunks = [*read_documents(TextFile(path))]
        assert "".join(chunk.text for chunk in chunks) == text
        assert [chunk.ends_document for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert max(len(chunk.text) for chunk in chunks) <= MAX_LINE_BYTES


def test_an_array_on_one_line_is_read_item_by_item(write):
    items = [{"text": f"number {n} " + "x" * (n % 700)} for n in range(9000)]
    assert [*read_lines(TextFile(write(json.dumps(items), "t")))] == [i["text"] for i in items]


def test_all_formats_are_tested():
    assert Counter(kind.partition(" ")[0].rstrip(",") for kind in CONTENTS).keys() == FORMATS.keys()
