"""Tagged text: CoNLL's columns, JSON with tags and with spans; what is altered is counted."""

import json
from pathlib import Path

import pytest

from tokenizer import CorpusCounts, CorpusError
from transformer.labels import TaggedFile, TaggedText, TagRepair, detect_scheme, read_tagged

from .conftest import Write

ANN = TaggedText(
    "Ann Lee sings .", ((0, 3), (4, 7), (8, 13), (14, 15)), ("B-PER", "I-PER", "O", "O")
)
BERN = TaggedText("Bern", ((0, 4),), ("B-LOC",))


def read(path: str, *columns: str, rule: str = "words") -> tuple[list[TaggedText], list[str]]:
    counts = CorpusCounts()
    found = [*read_tagged(TaggedFile(path, columns, rule), counts)]
    return found, [notice.replace(f"{Path(path).parent}/", "") for notice in counts.notices]


def columns(separator: str, between: str = "\n", middle: str = "") -> str:
    """The two sentences as columns."""
    return between.join(
        "".join(
            f"{text[start:end]}{separator}{middle}{tag}\n"
            for (start, end), tag in zip(words, tags, strict=True)
        )
        for text, words, tags in (ANN, BERN)
    )


@pytest.mark.parametrize(
    "content",
    [
        columns("\t"),
        columns(" ").replace("\n", "\r\n"),
        columns("\t", "\t\n"),  # as WNUT-17 has it
        columns("\t", "\n \n\n"),
        columns(" ", "\n-DOCSTART- -X- O O\n\n"),
        columns("\t")[:-1],
        "-DOCSTART- O\n\n" + columns(" "),
    ],
)
def test_columns_are_sentences_of_words_and_tags(write: Write, content: str) -> None:
    assert read(write(content, "t.conll")) == ([ANN, BERN], [])


def test_more_columns_than_two_are_told(write: Write) -> None:
    path = write(columns(" ", middle="NN NP "))
    found, notices = read(path)
    assert found == [ANN, BERN]
    assert notices == ["text has 4 columns: the first is the word, the last the tag (--columns)"]
    found, notices = read(path, "1", "2")
    assert (found[1].tags, notices) == (("NN",), [])
    assert detect_scheme(each.tags for each in found) is None


@pytest.mark.parametrize(
    "records",
    [
        [{"tokens": [*text.split()], "ner_tags": [*tags]} for text, words, tags in (ANN, BERN)],
        [
            {"text": ANN.text, "spans": [{"start": 0, "end": 7, "label": "PER"}]},
            {"text": "Bern", "spans": [{"start": 0, "end": 4, "label": "LOC"}]},
        ],
        [
            {"text": ANN.text, "label": [[0, 7, "PER"]]},
            {"text": "Bern", "label": [[0, 4, "LOC"]]},
        ],
    ],
)
def test_json_has_tags_of_words_or_spans_of_characters(write: Write, records: list[dict]) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in records)
    assert read(write(lines, "t.jsonl")) == ([ANN, BERN], [])
    assert read(write(json.dumps(records), "t.json")) == ([ANN, BERN], [])
    assert read(write(lines), *list(records[0])[:2]) == ([ANN, BERN], [])


def test_words_between_spaces_have_spans_whole(write: Write) -> None:
    record = {"text": "In Bern.", "entities": [{"start": 3, "end": 7, "type": "LOC"}]}
    path = write(json.dumps(record), "t.jsonl")
    assert read(path)[0][0].tags == ("O", "B-LOC", "O")
    found, notices = read(path, rule="spaces")
    assert found[0].tags == ("O", "B-LOC")
    assert notices == ["t.jsonl: spans widened to whole words: 1"]


def test_what_is_left_out_is_counted(write: Write) -> None:
    found, notices = read(write("Bern\tB-LOC\n\u200b\tO\n\n\ufe0f\tO\n", "t.conll"))
    assert (found, notices) == ([BERN], ["t.conll: blank words left out: 2"])
    spans = [[0, 4, "LOC"], [0, 2, "X"], [4, 5, "X"]]
    found, notices = read(write(json.dumps({"text": "Bern ", "spans": spans}), "t.jsonl"))
    assert found[0].tags == ("B-LOC",)
    assert notices == ["t.jsonl: spans left out, which overlap longer ones or have no word: 2"]


def test_repaired_tags_are_counted() -> None:
    repair = TagRepair("bio", "t.conll")
    assert repair(["O", "I-X", "I-X"]) == ["O", "B-X", "I-X"]
    assert repair(["B-X"]) == ["B-X"]
    assert repair.notice() == "t.conll: 1 of 4 tags repaired, which do not obey the scheme bio"
    with pytest.raises(CorpusError, match=r"t\.conll: 'NOUN' is no tag of spans"):
        repair(["NOUN"])
    plain = TagRepair(None, "t.conll")
    assert (plain(["NOUN"]), plain.notice()) == (["NOUN"], None)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("Bern\tB-LOC\nis\n", "t.conll", "line 2 has 1 column: a word and its tag .* by a tab"),
        ("Bern\n", "t.conll", "line 1 has 1 column: .* by a space"),
        ("\n\n", "t.conll", "has no words with tags"),
        ('{"tokens": ["a"], "tags": []}', "t.jsonl", "line 1 has 1 word and 0 tags"),
        ('{"tokens": [1], "tags": ["O"]}', "t.jsonl", "line 1: 1 is no word"),
        ('{"text": "a", "tags": ["O"]}', "t.jsonl", "line 1 has text, tags: give tokens and tags"),
        ('{"text": "a", "spans": [[0, 2, "X"]]}', "t.jsonl", "no span: .* within the 1 of the"),
        ('{"text": "a", "spans": [[0, 1, ""]]}', "t.jsonl", "is no span"),
        ('{"text": "a", "spans": [7]}', "t.jsonl", "line 1: 7 is no span"),
        ("[1]", "t.json", "item 1 is no object"),
    ],
)
def test_what_is_no_tagged_text_is_one_error(
    write: Write, content: str, name: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read(write(content, name))


def test_columns_that_are_named_are_two_numbers(write: Write) -> None:
    path = write("Bern B-LOC\n")
    with pytest.raises(CorpusError, match="give their numbers from 1, not word, tag"):
        read(path, "word", "tag")
    with pytest.raises(CorpusError, match="two columns, word and tag"):
        read(path, "1")
