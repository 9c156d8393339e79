"""Tagged text: columns of words and tags, or JSON with tags of tokens or spans of characters."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenizer import CorpusCounts, CorpusError, is_blank
from tokenizer.quantities import format_count
from tokenizer.text import (
    FORMATS,
    Columns,
    CorpusLines,
    JsonObjects,
    field_names,
    find_format,
    listed,
    open_corpus,
    replace_surrogates,
)

from .schemes import Span, repair_tags, write_tags
from .tag_columns import read_sentences
from .words import Range, spans_of_words, word_ranges

_TOKENS = ("tokens", "words")
_TAGS = ("tags", "ner_tags", "pos_tags", "labels")
_SPANS = ("spans", "entities", "label", "labels")
_SPAN_LABELS = ("label", "type", "entity", "entity_group", "tag")


class TaggedText(NamedTuple):
    """A text, its words as ranges of characters, and a tag for each."""

    text: str
    words: tuple[Range, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class TaggedFile:
    """A file of tagged text (`-` is stdin).

    `columns` are the numbers of the columns of word and tag, or the fields of JSON; by default the
    first and the last column. `word_rule` is the rule for words of a text with spans of characters
    (WORD_SPLITTERS).
    """

    path: str
    columns: tuple[str, ...] = ()
    word_rule: str = "words"


def read_tagged(file: TaggedFile, counts: CorpusCounts | None = None) -> Iterator[TaggedText]:
    """Yield the tagged texts of a file, in which words of columns stand a space apart.

    Columns are as `read_sentences` has them. Blank words are left out, and spans that begin or end
    inside a word have all of it; `counts` is told of them. Raises OSError or CorpusError.
    """
    counts = counts if counts is not None else CorpusCounts()
    altered: Counter[str] = Counter()
    size = 0
    with open_corpus(file.path, counts) as (lines, head):
        columns = Columns(file.columns)
        if file.columns and len(file.columns) != 2:
            raise CorpusError(
                "tagged text has two columns, word and tag, or text and spans; these are "
                f"{format_count(len(file.columns), 'name')}: {listed(file.columns)}"
            )
        name = find_format(file.path, head, columns, CorpusCounts(), records=True)
        layout = FORMATS[name or "tsv"].layout
        if isinstance(layout, JsonObjects):
            texts = _json_texts(layout, lines, file, altered)
        else:
            sentences = read_sentences(lines, file.columns, altered)
            texts = (_joined(sentence, altered) for sentence in sentences)
        for text in texts:
            if text.words:
                size += 1
                yield text
    for what, count in sorted(altered.items()):
        counts.notice(f"{lines.name}: {what}: {count:,}")
    if not size:
        raise CorpusError(f"{lines.name} has no words with tags")


def _joined(words: Sequence[tuple[str, str]], altered: Counter[str]) -> TaggedText:
    """Return words and tags as a text with a space between words; blank words are left out."""
    kept = [(word, tag) for word, tag in words if not is_blank(word)]
    if len(kept) < len(words):
        altered["blank words left out"] += len(words) - len(kept)
    ranges, start = [], 0
    for word, _ in kept:
        ranges.append((start, start + len(word)))
        start += len(word) + 1
    return TaggedText(
        " ".join(word for word, _ in kept), tuple(ranges), tuple(tag for _, tag in kept)
    )


def _json_texts(
    layout: JsonObjects, lines: CorpusLines, file: TaggedFile, altered: Counter[str]
) -> Iterator[TaggedText]:
    for location, value in layout.located(lines):
        if not isinstance(value, dict):
            raise CorpusError(f"{location} is no object with words and tags")
        first, second = _fields(value, file.columns, location)
        content, labels = value[first], value[second]
        if isinstance(content, str) and isinstance(labels, list):
            text = replace_surrogates(content, lines.counts)
            yield _spanned(text, _spans(labels, text, location), file.word_rule, altered)
        elif isinstance(content, list) and isinstance(labels, list):
            words = [replace_surrogates(_word(word, location), lines.counts) for word in content]
            tags = [str(tag) for tag in labels]
            if len(words) != len(tags):
                raise CorpusError(
                    f"{location} has {format_count(len(words), 'word')} and "
                    f"{format_count(len(tags), 'tag')}"
                )
            yield _joined([*zip(words, tags, strict=True)], altered)
        else:
            raise CorpusError(
                f"{location}: {first!r} is no text and no list of words, or {second!r} no list"
            )


def _word(value: Any, location: str) -> str:
    if not isinstance(value, str):
        raise CorpusError(f"{location}: {value!r} is no word")
    return value


def _fields(record: Mapping[str, Any], names: Sequence[str], location: str) -> tuple[str, str]:
    """Return the fields of words and tags, or of text and spans. Raises CorpusError."""
    tokens = [name for name in _TOKENS if isinstance(record.get(name), list)]
    second = _TAGS if tokens else _SPANS
    found = (*(tokens or ["text"])[:1], *[n for n in second if isinstance(record.get(n), list)][:1])
    first, last = names or (found if len(found) == 2 else ("", ""))
    if first not in record or last not in record:
        raise CorpusError(
            f"{location} has {listed(field_names(record))}: give tokens and tags, or text and "
            "spans, or name two fields with --columns"
        )
    return first, last


def _spans(values: Sequence[Any], text: str, location: str) -> list[Span]:
    """Return spans of characters: objects with start, end and label, or lists of the three."""
    spans = []
    for value in values:
        if isinstance(value, dict):
            label = next((value[name] for name in _SPAN_LABELS if name in value), None)
            parts = [value.get("start"), value.get("end"), label]
        else:
            parts = [*value] if isinstance(value, list) else []
        match parts:
            case [int(start), int(end), str(label)] if 0 <= start < end <= len(text) and label:
                spans.append(Span(start, end, label))
            case _:
                raise CorpusError(
                    f"{location}: {value!r} is no span: give start, end and label, in characters "
                    f"from 0, within the {len(text):,} of the text"
                )
    return spans


def _spanned(text: str, spans: Sequence[Span], word_rule: str, altered: Counter[str]) -> TaggedText:
    words = word_ranges(text, word_rule)
    found = spans_of_words(spans, words)
    if found.widened:
        altered["spans widened to whole words"] += found.widened
    if found.dropped:
        altered["spans left out, which overlap longer ones or have no word"] += found.dropped
    return TaggedText(text, tuple(words), tuple(write_tags(found.spans, len(words), "bio")))


class TagRepair:
    """The repair of the tags of one text file, with the number of those that are changed.

    Without a scheme tags stay as they are.
    """

    def __init__(self, scheme: str | None, name: str) -> None:
        self._scheme, self._name = scheme, name
        self.changed = self.words = 0

    def __call__(self, tags: Sequence[str]) -> list[str]:
        """Return tags that obey the scheme; count those that change. Raises CorpusError."""
        self.words += len(tags)
        if self._scheme is None:
            return [*tags]
        try:
            repaired, changed = repair_tags(tags, self._scheme)
        except CorpusError as error:
            raise CorpusError(f"{self._name}: {error}") from None
        self.changed += changed
        return repaired

    def notice(self) -> str | None:
        """Return what there is to tell, or None."""
        if not self.changed:
            return None
        return (
            f"{self._name}: {self.changed:,} of {format_count(self.words, 'tag')} repaired, which "
            f"do not obey the scheme {self._scheme}"
        )
