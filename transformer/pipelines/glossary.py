"""Glossaries: translations of phrases, and which of them a text asks for."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tokenizer import open_text

from ..errors import ConfigError
from .word_tokens import character_class

_HYPHENS = ("-", "\u2010", "\u2011")


class GlossaryEntry(NamedTuple):
    """A phrase and its translation."""

    source: str
    target: str
    line_number: int  # in the glossary file, from 1


class Term(NamedTuple):
    """A phrase that a text must have."""

    text: str
    # The source without what it translates, by which its place is recognised; None: unknown.
    ablated_source: str | None = None
    source_words: int = 1  # that it translates
    num_places: int = 1  # of the source that it translates
    inflects: bool = True  # its last word may have an ending


class Word(NamedTuple):
    """A word of a text, and where it stands."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class _Match:
    start: int  # index of the first word in the text
    length: int  # words
    entry: GlossaryEntry


class Glossary:
    """Glossary entries, indexed by their words."""

    def __init__(self, entries: Iterable[GlossaryEntry]) -> None:
        # By case-folded words, then by the words as they were written.
        self._entries: dict[tuple[str, ...], dict[tuple[str, ...], GlossaryEntry]] = {}
        self._lengths: dict[
            str, list[int]
        ] = {}  # words of the entries with a first word, descending
        for entry in entries:
            self._add(entry)

    @classmethod
    def read(cls, path: Path) -> "Glossary":
        """Read a UTF-8 file with a phrase, a tab and its translation on each line.

        Empty lines and lines that begin with # are skipped. Raises ConfigError that names the first
        bad line, OSError, CorpusError.
        """
        with open_text(str(path), corpus=True) as stream:
            lines = stream.read().split(b"\n")
        try:
            return cls(e for n, line in enumerate(lines, start=1) if (e := _parse_line(line, n)))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def targets(self) -> set[str]:
        """Return all translations."""
        return {entry.target for forms in self._entries.values() for entry in forms.values()}

    def _add(self, entry: GlossaryEntry) -> None:
        """Index an entry; raise ConfigError where its phrase has another translation already."""
        source = unicodedata.normalize("NFC", entry.source)
        words = tuple(word.text for word in split_words(source))
        folded = tuple(word.casefold() for word in words)
        forms = self._entries.setdefault(folded, {})
        existing = forms.setdefault(words, entry)
        if existing.target != entry.target:
            raise ConfigError(
                f"line {entry.line_number}: {entry.source[:60]!r} has another translation in "
                f"line {existing.line_number}; keep one of the two"
            )
        lengths = self._lengths.setdefault(folded[0], [])
        if len(words) not in lengths:
            lengths.append(len(words))
            lengths.sort(reverse=True)

    def terms_for(self, text: str) -> list[Term]:
        """Return the translations of the phrases in a text, in the order of the text, each once.

        Phrases match whole words and do not overlap; longer ones take precedence. A part of a
        compound with a hyphen is a word only where it is a name. Case matters in words with a
        capital after their first letter, and where a glossary has a phrase in several.
        """
        text = unicodedata.normalize("NFC", text)
        words = split_words(text)
        matches = sorted(self._matches(words, text), key=lambda m: (-m.length, m.start))
        used: set[int] = set()
        chosen: list[_Match] = []
        for match in matches:
            span = range(match.start, match.start + match.length)
            if used.isdisjoint(span):
                used.update(span)
                chosen.append(match)
        chosen.sort(key=lambda match: match.start)
        by_target: dict[str, list[_Match]] = {}
        for match in chosen:
            by_target.setdefault(match.entry.target, []).append(match)
        return [
            Term(target, _ablate(text, words, found), max(m.length for m in found), len(found))
            for target, found in by_target.items()
        ]

    def _matches(self, words: Sequence[Word], text: str) -> Iterator[_Match]:
        """Yield all entries in a text, overlapping ones too; of two forms the more capitalized."""
        folded = [word.text.casefold() for word in words]
        for start, word in enumerate(folded):
            for length in self._lengths.get(word, ()):
                span = slice(start, start + length)
                forms = self._entries.get(tuple(folded[span]), {})
                own = [word.text for word in words[span]]
                matching = [form for form in forms if _matches_form(form, own, forms)]
                if not matching or start + length > len(words):
                    continue
                form = max(matching, key=_count_cased)
                if _count_cased(form) or not _is_in_compound(text, words[span]):
                    yield _Match(start, length, forms[form])


def _ablate(text: str, words: Sequence[Word], matches: Sequence[_Match]) -> str:
    """Return a text without the words of some matches, which are in its order."""
    starts = [0, *(words[match.start + match.length - 1].end for match in matches)]
    ends = [*(words[match.start].start for match in matches), len(text)]
    return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def _is_in_compound(text: str, words: Sequence[Word]) -> bool:
    """Return True if a hyphen joins words to a letter beside them."""
    start, end = words[0].start, words[-1].end
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    joins_before = before[-1:] in _HYPHENS and before[:-1].isalnum()
    joins_after = after[:1] in _HYPHENS and after[1:].isalnum()
    return bool(before and joins_before) or bool(after and joins_after)


def _parse_line(line: bytes, line_number: int) -> GlossaryEntry | None:
    """Parse one line of a glossary; None for an empty line or a comment."""
    try:
        text = line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"line {line_number} is not UTF-8") from None
    if not text.strip() or text.startswith("#"):
        return None
    columns = [part.strip() for part in text.split("\t")]
    if len(columns) != 2 or not all(columns):
        raise ConfigError(
            f"line {line_number} is {text[:60]!r}; it must be a phrase, a tab and its translation"
        )
    return GlossaryEntry(columns[0], columns[1], line_number)


def split_words(text: str) -> list[Word]:
    """Split a text into words; punctuation and unspaced scripts into single characters.

    >>> [word.text for word in split_words("Don't: 日本")]
    ['Don', "'", 't', ':', '日', '本']
    """
    words: list[Word] = []
    start = 0
    for kind, characters in groupby(text, character_class):
        run = "".join(characters)
        if kind == "word":
            words.append(Word(run, start, start + len(run)))
        elif kind != "space":
            words += (Word(c, start + n, start + n + 1) for n, c in enumerate(run))
        start += len(run)
    return words


def _normalize_word(word: str) -> str:
    """Case-fold a word unless it has a capital after its first letter, as names such as iPhone."""
    return word if any(character.isupper() for character in word[1:]) else word.casefold()


def _matches_form(
    form: tuple[str, ...], words: Sequence[str], forms: Collection[tuple[str, ...]]
) -> bool:
    """Return True if words are those of a form, one of several of a phrase.

    Where there is one in lower case, too, the others must be just as they are.
    """
    if tuple(word.casefold() for word in form) in forms and _count_cased(form):
        return form == tuple(words)
    normal = map(_normalize_word, form)
    return all(f in {word, word.casefold()} for f, word in zip(normal, words, strict=True))


def _count_cased(form: Sequence[str]) -> int:
    """Count the words that have capitals."""
    return sum(word != word.casefold() for word in form)
