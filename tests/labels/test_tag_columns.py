"""CoNLL's comments and numbered rows, and rows of differing numbers of columns."""

import pytest

from tokenizer import CorpusCounts, CorpusError
from transformer.labels import TaggedFile, read_tagged

from .conftest import Write

Read = tuple[list[list[tuple[str, str]]], list[str]]
SENTENCES = [[("Ann", "B-PER"), ("sings", "O")], [("Bern", "B-LOC")]]


def read(path: str, *columns: str) -> Read:
    counts = CorpusCounts()
    found = [
        [(text[start:end], tag) for (start, end), tag in zip(words, tags, strict=True)]
        for text, words, tags in read_tagged(TaggedFile(path, columns), counts)
    ]
    return found, [notice.removeprefix(f"{path}: ") for notice in counts.notices]


@pytest.mark.parametrize(
    "content",
    [
        "# sent_id = 0\n# text\nAnn B-PER\nsings O\n\n# text = a b c\nBern B-LOC\n",
        "# newdoc\nAnn B-PER\nsings O\n\n# text = a\n#\nBern B-LOC\n",  # with as many columns
        "# sent_id = 0\n#\nAnn\tB-PER\nsings\tO\n\n# text = a\tb\nBern\tB-LOC\n",
        "#begin document (a); part 000\nAnn B-PER\n# so far\nsings O\n\nBern B-LOC\n\n#end\n",
        "-DOCSTART- -X- O\n\n# a b c\n#\nAnn B-PER\nsings O\n-DOCSTART-\n# 2\nBern B-LOC\n",
    ],
)
def test_comments_are_skipped_and_counted(write: Write, content: str) -> None:
    assert read(write(content)) == (SENTENCES, ["comment lines skipped: 3"])


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_words_may_begin_with_the_sign_of_comments(write: Write, separator: str) -> None:
    rows = [("#", "O"), ("#win", "B-TAG"), ("#", "I-TAG"), ("a", "O")]
    content = "".join(f"{word}{separator}{tag}\n" for word, tag in rows)
    assert read(write(content)) == ([rows], [])
    assert read(write(content + "\n#win" + separator + "O\n")) == ([rows, [("#win", "O")]], [])
    for some in (rows[:1], rows[:2]):  # none of them begins otherwise
        content = "".join(f"{word}{separator}{tag}\n" for word, tag in some)
        assert read(write(content)) == ([some], [])


def test_a_tag_of_no_spans_follows_the_sign_within_a_sentence_or_a_tab(write: Write) -> None:
    assert read(write("a DET\n# SYM\n")) == ([[("a", "DET"), ("#", "SYM")]], [])
    assert read(write("#\tSYM\na\tDET\n")) == ([[("#", "SYM"), ("a", "DET")]], [])
    assert read(write("# text = O\na DET - X\n"))[0] == [[("a", "X")]]


def test_ranges_and_empty_nodes_of_conll_u_are_skipped(write: Write) -> None:
    content = (
        "# sent_id = 1\n# text = Im Haus\n1-2\tIm\t_\t_\n1\tIn\tin\tADP\n2\tdem\tder\tDET\n"
        "2.1\tund\t_\t_\n3\tHaus\tHaus\tNOUN\n\n# sent_id = 2\n1\tBern\tBern\tPROPN\n"
    )
    sentences = [[("In", "ADP"), ("dem", "DET"), ("Haus", "NOUN")], [("Bern", "PROPN")]]
    notices = ["comment lines skipped: 3", "ranges and empty nodes skipped: 2"]
    assert read(write(content), "2", "4") == (sentences, notices)


def test_numbers_that_are_words_stay(write: Write) -> None:
    rows = [("1", "O"), ("1.1", "O"), ("1-2", "B-SCORE")]
    assert read(write("".join(f"{word}\t{tag}\n" for word, tag in rows))) == ([rows], [])
    content = "1-2\tAnn\tO\nx\tBern\tO\n"  # the first column has no numbers of words
    assert read(write(content), "2", "3") == ([[("Ann", "O"), ("Bern", "O")]], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Ann B-PER\nNew York O\n", "line 2 has 3 columns, line 1 has 2: .* by a space"),
        ("# a b c\n\nAnn\tNN\tO\n\nBern\tO\n", "line 5 has 2 columns: .* by a tab"),
        ("Ann\tO\n\nBern\tNN\tO\n", "line 3 has 3 columns, line 1 has 2: .* by a tab"),
        ("Ann O\n#win\n", "line 2 has 1 column: "),
        ("Ann O\n#win X O\n", "line 2 has 3 columns, line 1 has 2: "),
        ("# sent_id = 1\n# a\n", "has no words with tags"),
    ],
)
def test_rows_have_as_many_columns_as_the_first(write: Write, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read(write(content))


def test_sentences_may_differ_where_columns_are_named(write: Write) -> None:
    content = "Ann NN x B-PER\nsings VB x O\n\nBern NN B-LOC\n"  # as CoNLL-2012's predicates do
    tags = [[("Ann", "NN"), ("sings", "VB")], [("Bern", "NN")]]
    assert read(write(content), "1", "2") == (tags, [])
    with pytest.raises(CorpusError, match="line 5 has 4 columns, line 4 has 3"):
        read(write(content + "New York NN O\n"), "1", "2")


def test_empty_cells_at_the_end_of_a_row_are_no_columns(write: Write) -> None:
    assert read(write("Ann\tB-PER\nsings\tO\t\n\nBern\tB-LOC\t \t\n")) == (SENTENCES, [])


@pytest.mark.parametrize("name", ["t.conll", "t.conllu", "t.txt", "t.tsv", "t.csv"])
def test_a_file_may_begin_with_a_comment_under_any_name(write: Write, name: str) -> None:
    content = "# sent_id = 1\nAnn\tB-PER\nsings\tO\n\nBern\tB-LOC\n"
    assert read(write(content, name)) == (SENTENCES, ["comment lines skipped: 1"])
