"""Splitting of running text into sentences, by rules that need no model.

Translation models are trained on sentences. Segments can be joined again without loss: every
character is in a segment's text or in the whitespace after it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..scripts import FINAL_MARKS, FINAL_MARKS_BEFORE_SPACE, SENTENCE_ENDS
from .abbreviations import (
    AFTER_ORDINALS,
    BEFORE_NUMBERS,
    LEADING,
    OFTEN_FINAL,
    SOMETIMES_FINAL,
    STARTERS,
    TITLES,
)
from .chunking import split_to_fit


class Segment(NamedTuple):
    """A sentence, or a part of one, and the whitespace after it."""

    text: str  # never empty; the first includes whitespace at the beginning of the text
    after: str


_CLOSERS = "'\"”’»›)]}」』）】〉》〕＂＇"
_OPENERS = "'\"“”„‚‘’«‹»›([{¿¡「『（【〈《*_•–—―-"
_PARTICLES = "とのがはをにでもっ、，"  # continue a sentence after a quotation
# Marks (with the Greek question mark) and closing quotes, among them those that open in other
# languages, and French guillemets after a space; or an empty line.
_END = re.compile(
    rf"(?P<marks>[{re.escape(SENTENCE_ENDS)}]+|(?<=[\u0370-\u03ff\u1f00-\u1fff])[;\u037e])"
    rf"(?P<closers>(?:[{re.escape(_CLOSERS)}]|[“«](?=\s|\Z))*(?:[ \u00a0\u202f]»(?=\s|\Z))?)"
    r"(?P<after>\s*)"
    r"|\n[^\S\n]*\n\s*"
)
_WIDE = "\u2e80"  # the first of Chinese, Japanese and Korean characters
_CONTEXT_CHARACTERS = 40  # considered before and after a mark
_TOKEN = re.compile(rf"[^\s/{re.escape(_OPENERS.replace('-', ''))}]+\Z")
_LETTERS = re.compile(r"(?<!\w)(?:[^\W\d_]\.[ \u00a0\u202f]?)*[^\W\d_]\Z")  # z. B, U.S, J. R. R, p
_NUMBER = re.compile(r"[0-9]{1,2}|[IVXLC]{2,}")  # possibly an ordinal number
_CITED = re.compile(r"(\S{1,8})\.[ \u00a0\u202f]?[0-9]{1,2}\Z")
_MIN_WORD = 5  # letters; few abbreviations have as many
_WORD = re.compile(r"[^\W\d_]+")


def split_sentences(text: str, *, max_characters: int | None = None) -> list[Segment]:
    """Split a text into sentences of at most `max_characters` characters.

    Their texts and the whitespace after each, joined, are the text. A text of whitespace alone is
    one segment.
    """
    segments = list(_sentences(text))
    return segments if max_characters is None else split_segments(segments, len, max_characters)


def split_segments(
    segments: Iterable[Segment], size: Callable[[str], int], limit: int
) -> list[Segment]:
    """Split segments whose `size` is above `limit`, so that none is.

    They are split at semicolons, colons and commas, else at spaces, else between characters.
    Raises TokenizerOptionError if a single character is too large.
    """
    return [part for segment in segments for part in _split_segment(segment, size, limit)]


def _split_segment(segment: Segment, size: Callable[[str], int], limit: int) -> Iterator[Segment]:
    *first, last = split_to_fit(segment.text, size, limit)
    yield from (Segment(*part) for part in first)
    yield Segment(last[0], last[1] + segment.after)


def _sentences(text: str) -> Iterator[Segment]:
    start, lower = 0, text.islower()
    for match in _END.finditer(text):
        if match["marks"] is None:
            stop = start + len(text[start : match.start()].rstrip())
            if stop == start:
                continue
        elif match["after"].count("\n") > 1 or (
            match.end() < len(text) and _is_sentence_end(text, start, match, lower=lower)
        ):
            stop = match.start("after")
        else:
            continue
        yield Segment(text[start:stop], text[stop : match.end()])
        start = match.end()
    rest = text[start:]
    trimmed = rest.rstrip() or rest
    if rest:
        yield Segment(trimmed, rest[len(trimmed) :])


def _is_sentence_end(  # noqa: PLR0911 (each rule is a line)
    text: str, start: int, match: re.Match[str], *, lower: bool
) -> bool:
    """Return True if a sentence that began at `start` ends with these marks; more text follows.

    `lower`: the whole text has no capitals, so that they say nothing.
    """
    marks, closers, after = match["marks"], match["closers"], match["after"]
    before = text[max(start, match.start() - _CONTEXT_CHARACTERS) : match.start()]
    following = text[match.end() : match.end() + _CONTEXT_CHARACTERS]
    unquoted = following.lstrip(_OPENERS)
    if any(mark in FINAL_MARKS for mark in marks):
        return not (closers and following[0] in _PARTICLES)
    wide = before[-1:] >= _WIDE and unquoted[:1] >= _WIDE
    if not after:
        return wide and marks[-1] in "!?"
    closes = following[0] in _CLOSERS and following[0] not in _OPENERS
    if following[0] in SENTENCE_ENDS or closes:
        return False
    if wide or any(mark in FINAL_MARKS_BEFORE_SPACE for mark in marks):
        return True
    if marks == "." and _is_inner_full_stop(before, unquoted, length=match.start() - start):
        return False
    dangling = marks[-1] in ".…" and before[-1:].isspace()  # he said ... John?
    if unquoted[:1].islower():
        return lower and _ends_lower_case(before, marks, closers, unquoted)
    return not dangling or _starts_like_sentence(unquoted)


def _ends_lower_case(before: str, marks: str, closers: str, following: str) -> bool:
    """Return True if marks end a sentence of a text without capitals; a letter follows.

    Marks with spaces around them are of a text in tokens. Else an abbreviation that is not known
    may stand before a full stop, unless it is long or what follows typically begins a sentence;
    and a quotation that ends may go on with who said it.
    """
    if len(marks) > 1 or marks == "…":
        return not closers and _starts_like_sentence(following)
    token = "".join(before.split()[-1:])
    abbreviations = TITLES | BEFORE_NUMBERS | SOMETIMES_FINAL
    if token in abbreviations or token.isdigit() or (closers and marks != "."):
        return False
    is_word = len(token) >= _MIN_WORD and "." not in token
    is_end = marks != "." or before[-1:].isspace() or is_word
    return is_end or _starts_like_sentence(following)


def _starts_like_sentence(text: str) -> bool:
    """Return True if a text begins with a word that typically begins sentences."""
    word = _WORD.match(text)
    return word is not None and word[0].lower() in STARTERS


def _is_inner_full_stop(before: str, following: str, *, length: int) -> bool:
    """Return True for the full stop of an abbreviation or a number inside a sentence.

    `before` and `following` are the texts around it, `length` is the number of characters that the
    sentence has before it.
    """
    token_match = _TOKEN.search(before)
    token = token_match[0] if token_match else ""
    letters = _LETTERS.search(before)
    dotted = re.sub(r"\s", "", letters[0]) if letters else ""
    if _needs_continuation(token, dotted, following):
        return True
    if token.isdigit() and length <= len(token) + 1 <= 4:  # an item of a list
        return True
    unsure = token.lower() in SOMETIMES_FINAL or bool(dotted and dotted.lower() not in OFTEN_FINAL)
    return (unsure or _is_ordinal(before, token)) and not _starts_like_sentence(following)


def _needs_continuation(token: str, dotted: str, following: str) -> bool:
    """Return True for an abbreviation or ordinal number that cannot end a sentence here."""
    word, next_word = token.lower(), _WORD.match(following)
    if _NUMBER.fullmatch(token):
        return next_word is not None and next_word[0].lower() in AFTER_ORDINALS
    return (
        word in LEADING
        or (word in TITLES and token[0].isupper())
        or (word in BEFORE_NUMBERS and following[:1].isdigit())
        or (len(dotted) > 1 and dotted[0].islower() and dotted.lower() not in OFTEN_FINAL)
    )


def _is_ordinal(before: str, token: str) -> bool:
    """Return True if a number may be an ordinal: not in `p. 6`."""
    if not _NUMBER.fullmatch(token):
        return False
    cited = _CITED.search(before)
    return cited is None or cited[1].lower() not in BEFORE_NUMBERS
