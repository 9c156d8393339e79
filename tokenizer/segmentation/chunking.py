"""Splitting of a text into parts that fit a model, at the least harmful positions."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from ..errors import TokenizerOptionError

Size = Callable[[str], int]  # of a text, say in tokens; it rarely shrinks with more text

# The end of a clause: not in `12:30`, `3,14` or `http://`.
_CLAUSE = re.compile(r"[;:,](?=\s)|[；：，、،؛]")
_WHITESPACE = re.compile(r"\s+")
_PRECISION = 16  # an end may be 1/16 of a part short of the farthest: fewer texts are sized


def split_to_fit(text: str, size: Size, limit: int) -> Iterator[tuple[str, str]]:
    """Yield a text's parts, each with a size of at most `limit`, and the whitespace after each.

    Only texts of about the length of a part are sized, so the work is proportional to the text's
    length. Raises TokenizerOptionError if a single character is too large.
    """
    begin = 0
    while True:
        end = _farthest_end(text, begin, size, limit)
        if end == len(text):
            yield text[begin:], ""
            return
        stop = _cut_index(text, begin, end)
        while size(text[begin:stop]) > limit:  # a prefix may have more tokens than the text
            end = stop - 1
            stop = _cut_index(text, begin, end)
        whitespace = None if text[begin:stop].isspace() else _WHITESPACE.match(text, stop)
        following = whitespace.end() if whitespace else stop
        if following == len(text):
            yield text[begin:stop], text[stop:]
            return
        yield text[begin:stop], text[stop:following]
        begin = following


def _farthest_end(text: str, begin: int, size: Size, limit: int) -> int:
    """Return the farthest end, or nearly, of a part that begins at `begin`."""
    fits, length, left = 0, max(1, 4 * limit), len(text) - begin
    while True:
        length = min(length, left)
        if size(text[begin : begin + length]) > limit:
            break
        fits = length
        if fits == left:
            return len(text)
        length *= 2
    while length - fits > max(1, fits // _PRECISION):
        middle = (fits + length) // 2
        if size(text[begin : begin + middle]) > limit:
            length = middle
        else:
            fits = middle
    if not fits:
        raise TokenizerOptionError(
            f"the character {text[begin]!r} alone has a size above {limit}, the limit of a part; "
            "raise the limit"
        )
    return begin + fits


def _cut_index(text: str, begin: int, end: int) -> int:
    """Return the index at which to cut a text, not beyond `end`.

    It is after a clause, else before whitespace, else between characters as readers see them.
    """
    stop = begin
    for match in _CLAUSE.finditer(text, begin, min(end + 1, len(text))):
        if match.end() <= end:
            stop = match.end()
    if stop > begin:
        return stop
    for match in _WHITESPACE.finditer(text, begin, min(end + 1, len(text))):
        if match.start() > begin:
            stop = match.start()
    if stop > begin:
        return stop
    stop = end
    while stop > begin and _is_inside_character(text, begin, stop):
        stop -= 1
    return stop if stop > begin else max(end, begin + 1)


def _is_inside_character(text: str, begin: int, index: int) -> bool:
    """Return True if the characters on both sides of an index are one to a reader.

    Such are letters with accents, emoji with skin tones, flags and the parts of Korean syllables
    (Unicode annex 29, in short).
    """
    if index >= len(text):
        return False
    before, after = text[index - 1], text[index]
    if unicodedata.category(after)[0] == "M" or "\u200d" in (before, after):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or (before, after) == ("\r", "\n"):
        return True
    if "\u1160" <= after <= "\u11ff":
        return "\u1100" <= before <= "\u11ff" or "가" <= before <= "힣"
    if not (_is_flag(before) and _is_flag(after)):
        return False
    first = index
    while first > begin and _is_flag(text[first - 1]):
        first -= 1
    return (index - first) % 2 == 1


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
