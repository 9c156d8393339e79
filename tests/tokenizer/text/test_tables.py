"""Tables: the one rule for names, and rows that have more cells than others."""

from dataclasses import replace
from itertools import product

import pytest

from tokenizer import (
    CorpusCounts,
    CorpusError,
    TextFile,
    read_columns,
    read_documents,
    read_lines,
)
from tokenizer.text import FILTER_COLUMNS as COLUMNS
from tokenizer.text import read_filter_records


@pytest.fixture
def write(tmp_path):
    def write(content, name):
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_a_text_that_is_not_evident_is_refused_with_a_list(write, name):
    path = write("id\ttexts\n7\ta\n".replace("\t", "\t" if name == "t.tsv" else ","), name)
    for read, option in product((read_lines, read_documents), (None, "--columns")):
        with pytest.raises(CorpusError, match="2 columns; its first line has id, texts") as caught:
            list(read(TextFile(path, option=option)))
        assert (option or "a file of the text alone") in str(caught.value)
    assert [*read_columns(path, [])] == [("id", "texts"), ("7", "a")]  # a pair is evident


@pytest.mark.parametrize("rows", ["a\nb, c\nd, e, f\n", "a;b\nc;d\ne;f;g\n"])
def test_prose_in_a_file_named_csv_is_one_error(write, rows):
    path = write(rows, "t.csv")
    readers = {
        "--plain": lambda: read_filter_records(path, CorpusCounts(), replace(COLUMNS, sole=False)),
        "named .txt": lambda: read_lines(TextFile(path), all_columns=True),
        "pairs need": lambda: read_columns(path, []),
    }
    for words, reader in readers.items():
        with pytest.raises(CorpusError, match=r"has rows of . to 3 columns, and no row") as caught:
            list(reader())
        assert words in str(caught.value)
        assert "needs quotation marks" in str(caught.value)


def test_a_wide_row_far_down_is_an_error_for_texts_without_names(write):
    path = write("a\n" * 100 + "b, c\n" + "d\n", "t.csv")
    with pytest.raises(CorpusError, match=r"line 101 has 2 columns, .* named .txt has whole lines"):
        list(read_lines(TextFile(path)))
    found = [*read_filter_records(path, CorpusCounts())]
    assert [n for n, record in enumerate(found) if record.error] == [100]
    assert "--plain reads whole lines" in str(found[100].error)


@pytest.mark.parametrize("names", [(), ("text",), ("1",)])
@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_a_wider_row_below_names_is_no_half_text(write, name, names):
    rows = "text\tn\na\tb\t1\nc\t2\nd\t3\t\n"
    path = write(rows if name == "t.tsv" else rows.replace("\t", ","), name)
    found = [*read_filter_records(path, CorpusCounts(), replace(COLUMNS, names=names))]
    by_number = names == ("1",)
    wide = found[1 if by_number else 0]
    if by_number and name == "t.tsv":  # only CSV may have a separator in a text
        assert wide.texts == ("a",)
    else:
        assert "line 2 has 3 columns, the first line 2" in str(wide.error)
    assert [record.texts[0] for record in found[-2:]] == ["c", "d"]
