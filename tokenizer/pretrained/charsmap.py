"""SentencePiece's table of characters as steps of the `tokenizers` library.

SentencePiece replaces the longest key at each index and looks at nothing twice. It neither sorts
marks nor composes what its table does not: shadda before a vowel stays before it, which Unicode's
normalization forms turn around. The library's own reader of such tables looks up whole grapheme
clusters, takes the shortest key and drops what follows it in the cluster. So

1. the text is cut: a separator goes after each sequence of characters that is a key, and before
   each other character that could be composed with those before it, or sorted among them;
2. further separators make a cluster of each character, and the library's table replaces them;
3. NFC composes, now within sequences only, where it gives what the table says.

Where it would not (letters younger than the library's Unicode), sequences are replaced by name.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from tokenizers import Regex, normalizers

from ..errors import TokenizerError
from .character_table import CharacterTable, check_charsmap
from .longest_match import PatternTooLargeError, character_class, longest_of

# Separators are pairs of characters that no table maps, and whose class ends clusters: unassigned
# ones. Where a text has the first of them, it is escaped.
_MARK = "\ufff0"
_ESCAPED, _CUT, _CLUSTER = (_MARK + second for second in "\ufff1\ufff2\ufff3")
_STAND_INS = 0xFDD0  # after the mark: 32 characters that are none
_MAX_STAND_INS = 30
_MAX_KEYS = 1_000_000  # in use are 225,276, most of them of Hangul

# Marks and joiners, vowels and final consonants of Hangul, halfwidth sound marks, skin tones:
# clusters go on with them, and NFC composes them with those before or sorts them.
_MARKS = {"Mn", "Mc", "Me", "Cf"}
_JAMO = "\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff"
_ATTACHING = (
    f"\\p{{M}}\\p{{Cf}}{_JAMO}\uff9e\uff9f\U0001f3fb-\U0001f3ff"
    "[\\p{Cn}&&[^\ufdd0-\ufdef\ufff0-\ufff8]]"  # may be younger than the patterns' Unicode
)
_is_jamo = re.compile(f"[{_JAMO}]").match
_is_hangul = re.compile("[\u1100-\u1112\uac00-\ud7a3]").fullmatch  # NFC composes as all tables do
_NFC = normalizers.NFC()


@dataclass(frozen=True)
class _Exception:
    """A key for which the common steps give another text than the table."""

    key: str
    replacement: str
    common: str  # what the common steps give


@dataclass(frozen=True)
class _Plan:
    """The sequences of a table of characters."""

    characters: dict[str, str]  # the replacements of single characters
    sequences: str  # a pattern; empty if there is none
    attaching: frozenset[str]  # characters to be separated from those before, beside _ATTACHING
    hidden: tuple[str, ...]  # characters to which the table does not apply inside a sequence
    exceptions: tuple[_Exception, ...]

    @property
    def attaching_ranges(self) -> str:
        """The contents of a bracket expression of all characters that are separated so."""
        extra = character_class(self.attaching)[1:-1] if self.attaching else ""
        return _ATTACHING + extra

    def attaches(self, character: str) -> bool:
        """Return True if a character is separated from the one before it."""
        return character in self.attaching or _attaches(character)


@dataclass(frozen=True)
class _ByName:
    """A text that is replaced by itself and, if it would not stay as it is, by a stand-in."""

    pattern: str | Regex
    first: str
    last: str = ""  # in place of the first at the end


def charsmap_steps(
    charsmap: bytes, *, name: str, kept: Iterable[str] = (), known: Collection[str] | None = None
) -> list[normalizers.Normalizer]:
    """Return normalizers that apply a table as SentencePiece does. Raises TokenizerError.

    `kept` are texts that stay as they are: pieces that a user defined. Only sequences with a
    character in `known` are replaced by name; None: all of them.
    """
    if not charsmap:
        return []
    check_charsmap(charsmap, name=name)
    try:
        table = normalizers.Precompiled(charsmap)
        return [*_steps(table, _plan(charsmap), [*dict.fromkeys(kept)], known)]
    except Exception as error:
        if not isinstance(error, ValueError) and type(error) is not Exception:
            raise  # the library raises bare Exceptions
        raise TokenizerError(f"{name} has a damaged normalizer: {error}") from None


@lru_cache(maxsize=4)
def _plan(charsmap: bytes) -> _Plan:
    table = CharacterTable(charsmap)
    characters = table.characters
    if _MARK in characters:
        raise ValueError("it maps U+FFF0, which is not supported")
    hidden = tuple(c for c in sorted(table.tails) if _turns_letter(c, characters))
    attaching = {c for c, text in characters.items() if text and _attaches(text[0])}
    return _Plan(
        characters=characters,
        sequences=_sequences_pattern(table),
        attaching=frozenset(attaching | table.tails),
        hidden=hidden,
        exceptions=tuple(_exceptions(table, hidden)),
    )


def _sequences_pattern(table: CharacterTable) -> str:
    """Return a pattern of the longest sequence; most texts are passed over by its look ahead."""
    if not table.sequences:
        return ""
    ahead = character_class(table.starts) + character_class(table.seconds)
    return f"(?={ahead})(?>{table.sequences})"


def _turns_letter(character: str, characters: dict[str, str]) -> bool:
    """Return True for a mark that alone becomes a letter: U+0345, where case is folded."""
    text = characters.get(character)
    return bool(text and unicodedata.combining(character) and not unicodedata.combining(text[0]))


def _attaches(character: str) -> bool:
    return unicodedata.category(character) in _MARKS or bool(_is_jamo(character))


def _exceptions(table: CharacterTable, hidden: Collection[str]) -> Iterator[_Exception]:
    """Yield the keys whose characters, replaced and then composed, are not the replacement."""
    if not table.starts:  # nothing is composed
        return
    characters = table.characters
    within = {c: text for c, text in characters.items() if c not in hidden}
    entries, mapped = [*characters.items()], [*characters.values()]
    for first in table.starts:
        start = characters.get(first, first)
        if _is_hangul(start):
            continue
        for key, text in table.sequences_from(first):
            if len(entries) > _MAX_KEYS:
                raise PatternTooLargeError
            entries.append((key, text))
            mapped.append(start + "".join(within.get(c, c) for c in key[1:]))
    composed = _NFC.normalize_str(_MARK.join(mapped)).split(_MARK)
    for (key, text), common in zip(entries, composed, strict=True):
        if text != common:
            yield _Exception(key, text, common)


def _steps(
    table: normalizers.Normalizer, plan: _Plan, kept: list[str], known: Collection[str] | None
) -> Iterator[normalizers.Normalizer]:
    """Yield the steps."""
    replace = normalizers.Replace
    by_name = _by_name(plan, kept, known)
    hidden = [_MARK + chr(_STAND_INS + n) for n in range(len(plan.hidden))]
    attaching = f"[{plan.attaching_ranges}]"
    # \G: where the last match has put a separator, none goes before the next character.
    cuts = [rf"(?!\G)(?={attaching})"]
    cuts += [rf"{longest_of(map(_escape, kept))}\K"] if kept else []
    cuts += [rf"{plan.sequences}\K"] if plan.sequences else []
    yield replace(_MARK, _ESCAPED)
    yield replace(Regex("|".join(cuts)), _CUT)
    for item in by_name:
        yield replace(item.pattern, item.first)
    for character, stand_in in zip(plan.hidden, hidden, strict=True):
        yield replace(Regex(rf"(?<=[\s\S])(?<!{_CUT}){character}"), stand_in)
    yield replace(Regex(rf"(?<=[\s\S])(?<!{_CUT})(?={attaching})|(?<=\r)(?=\n)"), _CLUSTER)
    yield table
    yield replace(_CLUSTER, "")
    for character, stand_in in zip(plan.hidden, hidden, strict=True):
        yield replace(stand_in, character)
    if plan.sequences:
        yield _NFC
    for item in by_name:
        if item.last:
            yield replace(item.first, item.last)
    yield replace(_CUT, "")
    yield replace(_ESCAPED, _MARK)


def _by_name(plan: _Plan, kept: Iterable[str], known: Collection[str] | None) -> list[_ByName]:
    """Return the texts that are replaced by name. Raises ValueError if they are too many."""
    texts: list[tuple[str, list[str]]] = [
        (text, [text])
        for text in sorted(kept, key=len, reverse=True)  # one may be the end of another
        if any(c in plan.characters or plan.attaches(c) for c in text)
    ]
    keys: dict[str, list[str]] = {}
    for item in plan.exceptions:
        # Else all of it is unknown, in one way or the other.
        if known is None or not {*item.key, *item.replacement, *item.common}.isdisjoint(known):
            keys.setdefault(item.replacement, []).append(item.key)
    texts += keys.items()
    if len(texts) + len(plan.hidden) > _MAX_STAND_INS:
        raise ValueError(
            f"{len(texts)} of its sequences of characters, or of the pieces that a user defined, "
            f"need steps of their own, and at most {_MAX_STAND_INS} can have them"
        )
    return [_named(plan, *pair, number) for number, pair in enumerate(texts, len(plan.hidden))]


def _named(plan: _Plan, replacement: str, keys: list[str], number: int) -> _ByName:
    """Return the replacement of sequences, each of which a separator follows.

    It hardly makes a text longer: `limits` multiplies what the steps of a file may add.
    """
    if any(len(key) == 1 for key in keys) and keys != [replacement]:
        raise ValueError(f"what it makes of {keys[0]!r} is not supported")
    texts = [_escape(key) for key in keys]
    pattern: str | Regex
    pattern, end = texts[0] + _CUT, _CUT
    if len(texts) > 1 or plan.attaches(keys[0][0]):  # a sequence may end with the latter
        start = rf"(?:\A|(?<={_CUT[-1]})|(?=[^{plan.attaching_ranges}]))"
        pattern, end = Regex(rf"{start}(?:{'|'.join(map(re.escape, texts))})(?={_CUT})"), ""
    if not any(c in plan.characters or plan.attaches(c) for c in replacement):
        return _ByName(pattern, _escape(replacement) + end)
    stand_in = _MARK + chr(_STAND_INS + number) * max(1, len(replacement) - 1)
    return _ByName(pattern, stand_in + end, _escape(replacement) + end)


def _escape(text: str) -> str:
    return text.replace(_MARK, _ESCAPED)
