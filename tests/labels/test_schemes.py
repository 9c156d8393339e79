"""Tags and spans by hand and as seqeval reads them; each scheme gives its spans back."""

import random

import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from tokenizer import CorpusError
from transformer.errors import UnknownNameError
from transformer.labels import (
    TAG_SCHEMES,
    Span,
    detect_scheme,
    read_spans,
    read_spans_strictly,
    repair_tags,
    write_tags,
)

SEQEVALS = {"bio": IOB2, "bioes": IOBES, "bilou": BILOU, "iob1": IOB1}


def random_tags(rng: random.Random, letters: str, length: int) -> list[str]:
    """Tags of which most sequences are invalid in any scheme."""
    tags = [f"{letter}-{label}" for letter in letters for label in ("PER", "LOC", "a-b")]
    return [rng.choice([*tags, *letters, "O", "O"]) for _ in range(length)]


def random_spans(rng: random.Random, length: int) -> list[Span]:
    spans, start = [], rng.randrange(3)
    while start < length:
        end = min(length, start + rng.randint(1, 4))
        spans.append(Span(start, end, rng.choice(["PER", "LOC", "_"])))
        start = end + rng.choice([0, 0, 1, 2])
    return spans


def test_spans_worked_by_hand() -> None:
    assert read_spans(["B-PER", "I-PER", "O", "I-X"]) == [Span(0, 2, "PER"), Span(3, 4, "X")]
    assert read_spans(["B-X", "B-X", "I-Y", "E-Y", "E-Y"]) == [
        Span(0, 1, "X"),
        Span(1, 2, "X"),
        Span(2, 4, "Y"),
        Span(4, 5, "Y"),
    ]
    assert read_spans(["U-X", "B-X", "L-X", "I"]) == [
        Span(0, 1, "X"),
        Span(1, 3, "X"),
        Span(3, 4, "_"),
    ]
    assert read_spans([]) == read_spans(["O"]) == []


def test_any_tags_are_read_as_seqeval_does() -> None:
    rng = random.Random(0)
    for _ in range(1500):
        tags = random_tags(rng, rng.choice(["BI", "BIES"]), rng.randrange(9))
        assert [(label, start, end - 1) for start, end, label in read_spans(tags)] == get_entities(
            tags
        )


@pytest.mark.parametrize("scheme", TAG_SCHEMES)
def test_any_tags_are_read_strictly_as_seqeval_does(scheme: str) -> None:
    rng = random.Random(1)
    letters = "".join(sorted(TAG_SCHEMES[scheme].letters - {"O"}))
    for _ in range(1000):
        tags = random_tags(rng, letters, rng.randrange(9))
        (entities,) = Entities([tags], SEQEVALS[scheme]).entities
        theirs = [Span(each.start, each.end, each.tag) for each in entities]
        assert read_spans_strictly(tags, scheme) == theirs, tags


@pytest.mark.parametrize("scheme", TAG_SCHEMES)
def test_spans_that_are_written_are_read_again(scheme: str) -> None:
    rng = random.Random(2)
    for length in range(12):
        for _ in range(40):
            spans = random_spans(rng, length)
            tags = write_tags(spans, length, scheme)
            assert read_spans(tags) == read_spans_strictly(tags, scheme) == spans
            assert repair_tags(tags, scheme) == (tags, 0)


def test_tags_are_written_worked_by_hand() -> None:
    spans = [Span(0, 1, "X"), Span(1, 4, "X"), Span(4, 6, "Y")]
    written = {scheme: " ".join(write_tags(spans, 7, scheme)) for scheme in TAG_SCHEMES}
    assert written == {
        "bio": "B-X B-X I-X I-X B-Y I-Y O",
        "bioes": "S-X B-X I-X E-X B-Y E-Y O",
        "bilou": "U-X B-X I-X L-X B-Y L-Y O",
        "iob1": "I-X B-X I-X I-X I-Y I-Y O",
    }
    with pytest.raises(UnknownNameError, match="did you mean bio"):
        write_tags(spans, 7, "bioo")


def test_what_a_repair_changes_is_counted() -> None:
    tags = ["O", "I-X", "I-X", "B-Y", "I-X", "E-X"]
    repaired, changed = repair_tags(tags, "bio")
    assert repaired == ["O", "B-X", "I-X", "B-Y", "B-X", "I-X"]
    assert changed == 3
    assert repair_tags(tags, "bioes") == (["O", "B-X", "E-X", "S-Y", "B-X", "E-X"], 4)


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["O O", "B-X I-X B-X"], "bio"),
        (["I-X I-X O I-Y B-Y"], "iob1"),
        (["I-X O B-X B-X", "O B-Y", "B-X"], "bio"),  # one invalid tag among valid ones
        (["I-X O I-Y", "B-X", "I-X B-X"], "iob1"),
        (["B-X I-X O", "S-Y"], "bioes"),
        (["B-X L-X O", "U-Y"], "bilou"),
        (["B I O"], "bio"),
        (["O O"], "bio"),
        ([], "bio"),
        (["DET NOUN O"], None),
        (["B-X O", "I-"], None),
        (["b-x"], None),
    ],
)
def test_a_scheme_is_recognised(sentences: list[str], scheme: str | None) -> None:
    assert detect_scheme(map(str.split, sentences)) == scheme


@pytest.mark.parametrize("tag", ["NOUN", "", "B_X", "X-PER", "B-"])
def test_what_is_no_tag_of_spans_is_refused(tag: str) -> None:
    with pytest.raises(CorpusError, match="is no tag of"):
        read_spans(["O", tag])
    with pytest.raises(CorpusError, match="is no tag of"):
        read_spans_strictly([tag], "bio")
    with pytest.raises(CorpusError, match="'S-X' is no tag of bio, which has B, I, O"):
        read_spans_strictly(["S-X"], "bio")
