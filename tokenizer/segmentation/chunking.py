"""A text in parts that are small enough for a model, cut where it hurts least."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from ..errors import TokenizerOptionError

Size = Callable[[str], int]  # of a text, say in tokens: a longer text's is rarely smaller

# A clause's end: not in `12:30`, `3,14` or `http://`.
_CLAUSE = re.compile(r"[;:,](?=\s)|[；：，、،؛]")
_BLANK = re.compile(r"\s+")
_NEAR = 16  # a cut may be this part of a text short of the farthest possible: fewer texts are sized


def split_to_fit(text: str, size: Size, most: int) -> Iterator[tuple[str, str]]:
    """A text's parts, each of a size of at most `most`, and the whitespace that follows each.

    Each is found by sizing texts of its own length, so the work grows with the text's length.
    Raises TokenizerOptionError where a single character is too large.
    """
    begin = 0
    while True:
        reach = _reach(text, begin, size, most)
        if reach == len(text):
            yield text[begin:], ""
            return
        stop = _cut(text, begin, reach)
        while size(text[begin:stop]) > most:  # a text's beginning may be larger than the text
            reach = stop - 1
            stop = _cut(text, begin, reach)
        blank = None if text[begin:stop].isspace() else _BLANK.match(text, stop)
        following = blank.end() if blank else stop
        if following == len(text):
            yield text[begin:stop], text[stop:]
            return
        yield text[begin:stop], text[stop:following]
        begin = following


def _reach(text: str, begin: int, size: Size, most: int) -> int:
    """How far a text from `begin` may reach, or nearly."""
    fits, step, left = 0, max(1, 4 * most), len(text) - begin
    while True:
        step = min(step, left)
        if size(text[begin : begin + step]) > most:
            break
        fits = step
        if fits == left:
            return len(text)
        step *= 2
    while step - fits > max(1, fits // _NEAR):
        middle = (fits + step) // 2
        if size(text[begin : begin + middle]) > most:
            step = middle
        else:
            fits = middle
    if not fits:
        raise TokenizerOptionError(
            f"the character {text[begin]!r} alone is larger than {most}, the most that a part may "
            "be; allow more"
        )
    return begin + fits


def _cut(text: str, begin: int, reach: int) -> int:
    """Where to cut a text, no farther than `reach`: after a clause, before a space, or between
    characters as readers know them."""
    stop = begin
    for match in _CLAUSE.finditer(text, begin, min(reach + 1, len(text))):
        if match.end() <= reach:
            stop = match.end()
    if stop > begin:
        return stop
    for match in _BLANK.finditer(text, begin, min(reach + 1, len(text))):
        if match.start() > begin:
            stop = match.start()
    if stop > begin:
        return stop
    stop = reach
    while stop > begin and _joined(text, begin, stop):
        stop -= 1
    return stop if stop > begin else max(reach, begin + 1)


def _joined(text: str, begin: int, place: int) -> bool:
    """Whether the characters on both sides of a place are one to a reader: letters and their
    accents, emoji and their colours, flags, the parts of Korean syllables (Unicode annex 29, in
    short)."""
    if place >= len(text):
        return False
    before, after = text[place - 1], text[place]
    if unicodedata.category(after)[0] == "M" or "\u200d" in (before, after):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or (before, after) == ("\r", "\n"):
        return True
    if "\u1160" <= after <= "\u11ff":
        return "\u1100" <= before <= "\u11ff" or "가" <= before <= "힣"
    if not (_is_flag(before) and _is_flag(after)):
        return False
    first = place
    while first > begin and _is_flag(text[first - 1]):
        first -= 1
    return (place - first) % 2 == 1


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
