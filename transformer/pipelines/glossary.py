"""Glossaries: translations of phrases, and their ids as constraints of beam search."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tokenizer import Tokenizer, open_text

from ..errors import ConfigError

# Scripts that put no spaces between words: each of their characters is a word.
_UNSPACED_SCRIPTS = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")


class GlossaryEntry(NamedTuple):
    """A phrase and its translation."""

    source: str
    target: str
    line_number: int  # in the glossary file, from 1


@dataclass(frozen=True)
class _Match:
    start: int  # index of the first word in the text
    length: int  # words
    entry: GlossaryEntry


class Glossary:
    """Glossary entries, indexed by their words."""

    def __init__(self, entries: Iterable[GlossaryEntry]) -> None:
        # By case-folded words, then by the words in the case that a text must have.
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
        words = tuple(map(_normalize_word, _split_words(entry.source)))
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

    def phrases_for(self, text: str) -> list[str]:
        """Return the translations of the phrases in a text, in the order of the text, each once.

        Phrases match whole words and do not overlap; longer ones take precedence. Case matters only
        in words with a capital after their first letter.
        """
        words = _split_words(text)
        matches = sorted(self._matches(words), key=lambda match: (-match.length, match.start))
        used: set[int] = set()
        chosen: list[_Match] = []
        for match in matches:
            span = range(match.start, match.start + match.length)
            if used.isdisjoint(span):
                used.update(span)
                chosen.append(match)
        chosen.sort(key=lambda match: match.start)
        return list(dict.fromkeys(match.entry.target for match in chosen))

    def _matches(self, words: Sequence[str]) -> Iterator[_Match]:
        """Yield all entries in a text, overlapping ones too; of two forms the more capitalized."""
        folded = [word.casefold() for word in words]
        for start, word in enumerate(folded):
            for length in self._lengths.get(word, ()):
                span = slice(start, start + length)
                forms = self._entries.get(tuple(folded[span]), {})
                matching = [form for form in forms if _matches_form(form, words[span])]
                if matching:
                    yield _Match(start, length, forms[max(matching, key=_count_cased)])


def phrase_ids(tokenizer: Tokenizer, phrase: str) -> list[int]:
    """Encode a phrase as it is encoded inside a sentence.

    It follows a space, which belongs to the first token or is a token of its own, or punctuation in
    scripts without spaces. Any token may follow, so that the phrase may be inflected. Raises
    ConfigError for a phrase that the tokenizer cannot encode.
    """
    phrase = " ".join(phrase.split())
    space = "" if phrase and _is_unspaced(phrase[0]) else " "
    ids = tokenizer.encode(phrase)
    for context in (".", ",", "。") if not space else ("a", "1", "."):
        context_ids = tokenizer.encode(context)
        joint_ids = tokenizer.encode(f"{context}{space}{phrase}")
        if joint_ids[: len(context_ids)] == context_ids:
            ids = joint_ids[len(context_ids) :]
            break
    if not tokenizer.decode(ids).strip() or tokenizer.role("unknown") in ids:
        raise ConfigError(f"the tokenizer has no tokens for the phrase {phrase[:60]!r}")
    return ids


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


def _split_words(text: str) -> list[str]:
    """Split a text into words; punctuation and unspaced scripts into single characters.

    >>> _split_words("Don't: 日本")
    ['Don', "'", 't', ':', '日', '本']
    """
    words: list[str] = []
    for kind, characters in groupby(unicodedata.normalize("NFC", text), _character_class):
        if kind == "word":
            words.append("".join(characters))
        elif kind != "space":
            words += characters
    return words


def _normalize_word(word: str) -> str:
    """Case-fold a word unless it has a capital after its first letter, as names such as iPhone."""
    return word if any(character.isupper() for character in word[1:]) else word.casefold()


def _matches_form(form: Sequence[str], words: Sequence[str]) -> bool:
    """Return True if each word equals the form's word, or does so case-folded."""
    return all(f in {word, word.casefold()} for f, word in zip(form, words, strict=True))


def _count_cased(form: Sequence[str]) -> int:
    """Count the words that have capitals."""
    return sum(word != word.casefold() for word in form)


@lru_cache(maxsize=1 << 14)
def _character_class(character: str) -> str:
    """Classify a character as "space", part of a "word", or a word "alone"."""
    if character.isspace():
        return "space"
    if _is_unspaced(character):
        return "alone"
    letter = character.isalnum() or unicodedata.category(character)[0] == "M" or character == "_"
    return "word" if letter else "alone"


def _is_unspaced(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_UNSPACED_SCRIPTS)
