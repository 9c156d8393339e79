"""Running text as sentences, and back: where sentences end, by rules that need no model.

Translation models learnt from sentences. What is cut here is joined again without loss: every
character is in a piece's text or in the whitespace after it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .abbreviations import BEFORE_NUMBERS, EITHER, LAST, LEADING, ORDERED, STARTERS, TITLES
from .chunking import split_to_fit


class Segment(NamedTuple):
    """A sentence, or a part of one, and the whitespace that follows."""

    text: str  # never empty; the first piece's begins with the whitespace that the text does
    after: str


_ALONE = "。！？｡।॥።፧။។"  # that end a sentence whatever follows
_SPACED = "؟۔։"  # where whitespace follows
_MARKS = ".!?…‥‼⁇⁈⁉．" + _ALONE + _SPACED
_CLOSERS = "'\"”’»›)]}」』）】〉》〕＂＇"
_OPENERS = "'\"“”„‚‘’«‹»›([{¿¡「『（【〈《*_•–—―-"
_PARTICLES = "とのがはをにでもっ、，"  # that go on after a quotation
# Marks (Greek's question mark among them) and what closes with them: also what opens in other
# languages, and French guillemets after a space. Or an empty line.
_END = re.compile(
    rf"(?P<marks>[{re.escape(_MARKS)}]+|(?<=[\u0370-\u03ff\u1f00-\u1fff])[;\u037e])"
    rf"(?P<closers>(?:[{re.escape(_CLOSERS)}]|[“«](?=\s|\Z))*(?:[ \u00a0\u202f]»(?=\s|\Z))?)"
    r"(?P<after>\s*)"
    r"|\n[^\S\n]*\n\s*"
)
_WIDE = "\u2e80"  # from here on: Chinese, Japanese and Korean
_LOOK = 40  # characters that are looked at before and after a mark
_TOKEN = re.compile(rf"[^\s/{re.escape(_OPENERS.replace('-', ''))}]+\Z")
_LETTERS = re.compile(r"(?<!\w)(?:[^\W\d_]\.[ \u00a0\u202f]?)*[^\W\d_]\Z")  # z. B, U.S, J. R. R, p
_NUMBER = re.compile(r"[0-9]{1,2}|[IVXLC]{2,}")  # that may be an ordinal one
_CITED = re.compile(r"(\S{1,8})\.[ \u00a0\u202f]?[0-9]{1,2}\Z")
_WORD = re.compile(r"[^\W\d_]+")


def split_sentences(text: str, *, longest: int | None = None) -> list[Segment]:
    """The sentences of a text; none are longer than `longest` characters.

    Joined with what is after each, they are the text. A text of whitespace alone is one piece.
    """
    pieces = list(_sentences(text))
    return pieces if longest is None else merge_to_fit(pieces, len, longest)


def merge_to_fit(pieces: Iterable[Segment], size: Callable[[str], int], most: int) -> list[Segment]:
    """Cut what is too long for a model: at semicolons, colons and commas, else at spaces, else
    between characters, so that no piece's `size` is above `most`.

    Raises ConfigError where a single character's is.
    """
    return [fitting for piece in pieces for fitting in _fit(piece, size, most)]


def _fit(piece: Segment, size: Callable[[str], int], most: int) -> Iterator[Segment]:
    *first, last = split_to_fit(piece.text, size, most)
    yield from (Segment(*part) for part in first)
    yield Segment(last[0], last[1] + piece.after)


def _sentences(text: str) -> Iterator[Segment]:
    start = 0
    for match in _END.finditer(text):
        if match["marks"] is None:
            stop = start + len(text[start : match.start()].rstrip())
            if stop == start:
                continue
        elif match["after"].count("\n") > 1 or (
            match.end() < len(text) and _ends(text, start, match)
        ):
            stop = match.start("after")
        else:
            continue
        yield Segment(text[start:stop], text[stop : match.end()])
        start = match.end()
    rest = text[start:]
    said = rest.rstrip() or rest
    if rest:
        yield Segment(said, rest[len(said) :])


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence that began at `start` ends with these marks; more text follows."""
    marks, closers, after = match["marks"], match["closers"], match["after"]
    before = text[max(start, match.start() - _LOOK) : match.start()]
    follows = text[match.end() : match.end() + _LOOK]
    inside = follows.lstrip(_OPENERS)
    if any(mark in _ALONE for mark in marks):
        return not (closers and follows[0] in _PARTICLES)
    wide = before[-1:] >= _WIDE and inside[:1] >= _WIDE
    if not after:
        return wide and marks[-1] in "!?"
    if follows[0] in _MARKS or (follows[0] in _CLOSERS and follows[0] not in _OPENERS):
        return False
    if wide or any(mark in _SPACED for mark in marks):
        return True
    if marks == "." and _goes_on(before, inside, whole=match.start() - start):
        return False
    dangling = marks[-1] in ".…" and before[-1:].isspace()  # he said ... John?
    return not inside[:1].islower() and (not dangling or _begins(inside))


def _begins(inside: str) -> bool:
    """Whether a text begins with a word that sentences begin with."""
    word = _WORD.match(inside)
    return word is not None and word[0].lower() in STARTERS


def _goes_on(before: str, inside: str, *, whole: int) -> bool:
    """Whether the full stop between two texts is that of an abbreviation or a number in a sentence.

    `whole` is how many characters the sentence has before it.
    """
    found = _TOKEN.search(before)
    token = found[0] if found else ""
    letters = _LETTERS.search(before)
    dotted = re.sub(r"\s", "", letters[0]) if letters else ""
    if _leads(token, dotted, inside):
        return True
    if token.isdigit() and whole <= len(token) + 1 <= 4:  # an item of a list
        return True
    unsure = token.lower() in EITHER or bool(dotted and dotted.lower() not in LAST)
    return (unsure or _is_ordinal(before, token)) and not _begins(inside)


def _leads(token: str, dotted: str, inside: str) -> bool:
    """Whether an abbreviation is one that more must follow."""
    word, following = token.lower(), _WORD.match(inside)
    if _NUMBER.fullmatch(token):
        return following is not None and following[0].lower() in ORDERED
    return (
        word in LEADING
        or (word in TITLES and token[0].isupper())
        or (word in BEFORE_NUMBERS and inside[:1].isdigit())
        or (len(dotted) > 1 and dotted[0].islower() and dotted.lower() not in LAST)
    )


def _is_ordinal(before: str, token: str) -> bool:
    """Whether a number may be read as first, second and so on: not in `p. 6`."""
    if not _NUMBER.fullmatch(token):
        return False
    cited = _CITED.search(before)
    return cited is None or cited[1].lower() not in BEFORE_NUMBERS
