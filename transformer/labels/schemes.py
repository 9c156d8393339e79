"""Schemes of tags, and the spans that tags stand for: BIO, IOB1, BIOES and BILOU.

A tag is `O`, outside of all spans, or a letter and a label, `B-PER`. A letter alone has the label
`_`. Spans count words from 0, and end before the word `end`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from tokenizer import CorpusError

from ..registry import Registry

OUTSIDE = "O"
NO_LABEL = "_"  # the label of spans whose tags are letters alone
_TAG = re.compile(r"([BIESLU])(?:-(.+))?", re.DOTALL)
_LETTERS = {"L": "E", "U": "S"}  # BILOU's last and unit, in BIOES' letters


class Span(NamedTuple):
    """A labelled part of a text, in words or in characters."""

    start: int
    end: int  # the first index after it
    label: str


class _Tag(NamedTuple):
    """A tag, taken apart, in BIOES' letters; the label of O is empty."""

    letter: str
    label: str


class RepairedTags(NamedTuple):
    """Tags that obey a scheme, and the number of those that did not."""

    tags: list[str]
    changed: int


class TagScheme(NamedTuple):
    """A scheme: the tags of a span, and which neighbours are valid in it.

    `opens` and `continues` are of a tag after another; `closes` is of the last tag of a span and
    the one that follows it.
    """

    write: Callable[[int, bool], str]  # the letters of a span's length; True: its like is before it
    letters: frozenset[str]
    opens: Callable[[_Tag, _Tag], bool]
    continues: Callable[[_Tag, _Tag], bool]
    closes: Callable[[_Tag, _Tag], bool]


def _is_inside(before: _Tag, tag: _Tag) -> bool:
    return before.letter in "BI" and tag.letter in "IE" and before.label == tag.label


def _opens_iob1(before: _Tag, tag: _Tag) -> bool:
    if tag.letter == "I":
        return before.letter in "OB" or before.label != tag.label
    return tag.letter == "B" and before.letter in "BI" and before.label == tag.label


def _write_bioes(length: int, _: bool) -> str:
    return "S" if length == 1 else f"B{'I' * (length - 2)}E"


_BIOES = TagScheme(
    write=_write_bioes,
    letters=frozenset("BIOES"),
    opens=lambda _, tag: tag.letter in "BS",
    continues=_is_inside,
    closes=lambda last, _: last.letter in "ES",
)
TAG_SCHEMES = Registry(
    "tag scheme",
    {
        "bio": TagScheme(  # IOB2: each span begins with B
            write=lambda length, _: f"B{'I' * (length - 1)}",
            letters=frozenset("BIO"),
            opens=lambda _, tag: tag.letter == "B",
            continues=_is_inside,
            closes=lambda _, __: True,
        ),
        "bioes": _BIOES,
        "bilou": _BIOES._replace(
            write=lambda *span: _write_bioes(*span).replace("E", "L").replace("S", "U"),
            letters=frozenset("BILOU"),
        ),
        "iob1": TagScheme(  # CoNLL-2003: B only between two spans of one label
            write=lambda length, follows: f"{'B' if follows else 'I'}{'I' * (length - 1)}",
            letters=frozenset("BIO"),
            opens=_opens_iob1,
            continues=_is_inside,
            closes=lambda last, following: (
                (last.letter, following.letter) != ("B", "B") or last.label == following.label
            ),
        ),
    },
)


def _parse(tag: str) -> _Tag:
    if tag == OUTSIDE:
        return _Tag(OUTSIDE, "")
    if (match := _TAG.fullmatch(tag)) is None:
        raise CorpusError(f"{tag!r} is no tag of spans: O, or such as B-{tag}, is one")
    return _Tag(_LETTERS.get(match[1], match[1]), match[2] or NO_LABEL)


def label_of(tag: str) -> str:
    """Return the label of a tag's span; empty for O. Raises CorpusError for no tag of spans.

    >>> label_of("B-PER"), label_of("O")
    ('PER', '')
    """
    return _parse(tag).label


def tells_spans(names: Sequence[str]) -> bool:
    """Return True if tags stand for spans of words: O is one of them, or each has a letter.

    Tags of each word by itself, such as parts of speech, do not.

    >>> tells_spans(["O", "PER"]), tells_spans(["B-X", "I-X"]), tells_spans(["NOUN", "VERB"])
    (True, True, False)
    """
    return OUTSIDE in names or all(map(_TAG.fullmatch, names))


def span_tag(name: str) -> str:
    """Return a tag of spans for one that may be a label alone, which is inside of a span.

    >>> span_tag("PER"), span_tag("B-PER"), span_tag("O")
    ('I-PER', 'B-PER', 'O')
    """
    return name if name == OUTSIDE or _TAG.fullmatch(name) else f"I-{name}"


def read_spans(tags: Sequence[str]) -> list[Span]:
    """Return the spans of tags of any scheme, also where they do not obey it.

    These are seqeval's by default, those of conlleval: a span goes on with an I or E of its label
    after a B or I, and each other tag but O begins one. Raises CorpusError for no tag of spans.

    >>> read_spans(["O", "I-PER", "I-PER", "I-LOC"])
    [Span(start=1, end=3, label='PER'), Span(start=3, end=4, label='LOC')]
    """
    spans: list[Span] = []
    before = _Tag(OUTSIDE, "")
    for index, tag in enumerate(map(_parse, tags)):
        if _is_inside(before, tag):
            spans[-1] = spans[-1]._replace(end=index + 1)
        elif tag.letter != OUTSIDE:
            spans.append(Span(index, index + 1, tag.label))
        before = tag
    return spans


def read_spans_strictly(tags: Sequence[str], scheme: str) -> list[Span]:
    """Return those spans whose tags obey a scheme, as seqeval's strict mode does.

    Tags that belong to no such span are passed over. Raises UnknownNameError for an unknown scheme,
    CorpusError for a tag that is none of it.

    >>> read_spans_strictly(["I-PER", "B-PER", "I-PER", "I-LOC"], "bio")
    [Span(start=1, end=3, label='PER')]
    """
    rules = TAG_SCHEMES[scheme]
    if strange := [tag for tag in tags if tag[:1] not in rules.letters]:
        raise CorpusError(f"{strange[0]!r} is no tag of {scheme}, which has {_listed(rules)}")
    outside = _Tag(OUTSIDE, "")
    parsed = [*map(_parse, tags), outside]
    spans: list[Span] = []
    before, start = outside, 0
    while start < len(tags):
        end = start + 1
        if rules.opens(before, parsed[start]):
            while rules.continues(parsed[end - 1], parsed[end]):
                end += 1
            if rules.closes(parsed[end - 1], parsed[end]):
                spans.append(Span(start, end, parsed[start].label))
        before, start = parsed[end - 1], end
    return spans


def _listed(rules: TagScheme) -> str:
    return ", ".join(sorted(rules.letters))


def write_tags(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Return the tags of so many words in a scheme. Raises UnknownNameError for an unknown one.

    >>> write_tags([Span(0, 1, "LOC"), Span(2, 4, "PER")], 5, "bioes")
    ['S-LOC', 'O', 'B-PER', 'E-PER', 'O']
    """
    rules = TAG_SCHEMES[scheme]
    tags = [OUTSIDE] * length
    before = Span(-1, 0, "")
    for span in sorted(spans):
        assert before.end <= span.start < span.end <= length, (before, span, length)
        follows = (before.end, before.label) == (span.start, span.label)
        suffix = "" if span.label == NO_LABEL else f"-{span.label}"
        letters = rules.write(span.end - span.start, follows)
        tags[span.start : span.end] = [f"{letter}{suffix}" for letter in letters]
        before = span
    return tags


def repair_tags(tags: Sequence[str], scheme: str) -> RepairedTags:
    """Return tags of the same spans that obey a scheme, and the number of those that differ.

    This also converts tags of another scheme. Raises what `read_spans` and `write_tags` do.

    >>> repair_tags(["O", "I-PER", "I-PER", "I-LOC"], "bio")
    RepairedTags(tags=['O', 'B-PER', 'I-PER', 'B-LOC'], changed=2)
    """
    repaired = write_tags(read_spans(tags), len(tags), scheme)
    return RepairedTags(repaired, sum(map(str.__ne__, tags, repaired)))


def detect_scheme(sentences: Iterable[Sequence[str]]) -> str | None:
    """Return the scheme of tags, or None if one is no tag of spans: each stands for itself, then.

    E and S show BIOES, L and U BILOU. Of BIO and IOB1, it is the one that fewer tags contradict: B
    without a span of its label before it is none of IOB1, I at the beginning of a span none of BIO.

    >>> detect_scheme([["I-PER", "O", "I-LOC", "B-LOC"]]), detect_scheme([["DET", "NOUN"]])
    ('iob1', None)
    """
    letters: set[str] = set()
    against = {"bio": 0, "iob1": 0}
    for tags in sentences:
        for tag in tags:
            if tag != OUTSIDE and _TAG.fullmatch(tag) is None:
                return None
        letters.update(tag[0] for tag in tags)
        parsed = [_Tag(OUTSIDE, ""), *map(_parse, tags)]
        for before, each in pairwise(parsed):
            against["bio"] += each.letter == "I" and not _is_inside(before, each)
            against["iob1"] += each.letter == "B" and before.label != each.label
    if letters & {*"LU"} and not letters & {*"ES"}:
        return "bilou"
    if letters & {*"ESLU"}:
        return "bioes"
    return min(against, key=against.__getitem__)
