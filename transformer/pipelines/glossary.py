"""Glossaries: how phrases are to be translated, and how they become ids that beam search must
write."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tokenizer import Tokenizer

from ..errors import ConfigError

# Scripts that put no spaces between words: each of their characters is a word.
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")


class Entry(NamedTuple):
    """A phrase and its translation."""

    source: str
    target: str
    line: int  # where it stands, from 1


@dataclass(frozen=True)
class _Match:
    first: int  # word of the text
    length: int
    entry: Entry


class Glossary:
    """Entries that are found in a text by their first words."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        # By words in lower case, then by the words as they must be.
        self._entries: dict[tuple[str, ...], dict[tuple[str, ...], Entry]] = {}
        self._lengths: dict[str, list[int]] = {}  # of entries with a first word, longest first
        for entry in entries:
            self._add(entry)

    @classmethod
    def read(cls, path: Path) -> "Glossary":
        """Lines of a phrase, a tab and its translation, in UTF-8; lines that begin with # and
        empty ones are passed over.

        Raises ConfigError that names the first bad line, OSError.
        """
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
        try:
            return cls(e for n, line in enumerate(lines, start=1) if (e := _entry(line, n)))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def targets(self) -> set[str]:
        """All translations."""
        return {entry.target for forms in self._entries.values() for entry in forms.values()}

    def _add(self, entry: Entry) -> None:
        words = tuple(map(_plain, _words(entry.source)))
        folded = tuple(word.casefold() for word in words)
        same = self._entries.setdefault(folded, {})
        other = same.setdefault(words, entry)
        if other.target != entry.target:
            raise ConfigError(
                f"line {entry.line}: {entry.source[:60]!r} is translated otherwise in "
                f"line {other.line}; keep one of the two"
            )
        lengths = self._lengths.setdefault(folded[0], [])
        if len(words) not in lengths:
            lengths.append(len(words))
            lengths.sort(reverse=True)

    def phrases_for(self, text: str) -> list[str]:
        """The translations of the phrases that stand in a text as whole words, in the order of the
        text, each once. The longest phrase comes first, and no word belongs to two; capitals
        matter in words that have one inside."""
        words = _words(text)
        found = sorted(self._matches(words), key=lambda match: (-match.length, match.first))
        taken: set[int] = set()
        chosen: list[_Match] = []
        for match in found:
            places = range(match.first, match.first + match.length)
            if taken.isdisjoint(places):
                taken.update(places)
                chosen.append(match)
        chosen.sort(key=lambda match: match.first)
        return list(dict.fromkeys(match.entry.target for match in chosen))

    def _matches(self, words: Sequence[str]) -> Iterator[_Match]:
        folded = [word.casefold() for word in words]
        for first, word in enumerate(folded):
            for length in self._lengths.get(word, ()):
                here = slice(first, first + length)
                known = self._entries.get(tuple(folded[here]), {})
                fits = [form for form in known if _fits(form, words[here])]
                if fits:
                    yield _Match(first, length, known[max(fits, key=_capitals)])


def phrase_ids(tokenizer: Tokenizer, phrase: str) -> list[int]:
    """A phrase's ids as they stand inside a sentence: after a space, which is part of the first
    token or a token of its own; where the script has no spaces, after a sign. What follows the
    phrase is free, so that it may be inflected.

    Raises ConfigError for a phrase that the tokenizer has no tokens for.
    """
    phrase = " ".join(phrase.split())
    space = "" if phrase and _is_unspaced(phrase[0]) else " "
    ids = tokenizer.encode(phrase)
    for before in (".", ",", "。") if not space else ("a", "1", "."):
        lead, both = tokenizer.encode(before), tokenizer.encode(f"{before}{space}{phrase}")
        if both[: len(lead)] == lead:
            ids = both[len(lead) :]
            break
    if not tokenizer.decode(ids).strip() or tokenizer.role("unknown") in ids:
        raise ConfigError(f"the tokenizer has no tokens for the phrase {phrase[:60]!r}")
    return ids


def _entry(line: bytes, number: int) -> Entry | None:
    """One line's entry, where it has one."""
    try:
        text = line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"line {number} is not UTF-8") from None
    if not text.strip() or text.startswith("#"):
        return None
    parts = [part.strip() for part in text.split("\t")]
    if len(parts) != 2 or not all(parts):
        raise ConfigError(
            f"line {number} is {text[:60]!r}; it must be a phrase, a tab and its translation"
        )
    return Entry(parts[0], parts[1], number)


def _words(text: str) -> list[str]:
    """Words, and each other sign but spaces, with their marks.

    >>> _words("Don't: 日本")
    ['Don', "'", 't', ':', '日', '本']
    """
    found: list[str] = []
    for kind, run in groupby(unicodedata.normalize("NFC", text), _kind):
        if kind == "word":
            found.append("".join(run))
        elif kind != "space":
            found += run
    return found


def _plain(word: str) -> str:
    """A word in lower case, unless it has a capital inside: those are names, such as iPhone."""
    return word if any(character.isupper() for character in word[1:]) else word.casefold()


def _fits(form: Sequence[str], words: Sequence[str]) -> bool:
    return all(f in {word, word.casefold()} for f, word in zip(form, words, strict=True))


def _capitals(form: Sequence[str]) -> int:
    return sum(word != word.casefold() for word in form)


@lru_cache(maxsize=1 << 14)
def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    if _is_unspaced(character):
        return "alone"
    letter = character.isalnum() or unicodedata.category(character)[0] == "M" or character == "_"
    return "word" if letter else "alone"


def _is_unspaced(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_UNSPACED)
