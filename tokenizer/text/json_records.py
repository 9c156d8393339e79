"""JSON records: an object on each line, or the items of one array."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ..errors import CorpusError
from .lines import CorpusLines

_SPACES = re.compile(r"[ \t\r\n]*")


def parse_lines(lines: CorpusLines) -> Iterator[tuple[int, Any]]:
    """Yield the JSON values of lines, None for blank ones."""
    for line in lines:
        if not line.strip():
            yield lines.number, None
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise CorpusError(f"{lines.path}, line {lines.number} is not JSON") from None
        yield lines.number, record


def parse_array(lines: CorpusLines) -> Iterator[tuple[int, Any]]:
    """Yield the items of a JSON array, in the memory of the longest."""
    buffer, number = _ArrayText(lines), 0
    buffer.expect("[", "an array")
    if buffer.next_character() == "]":
        buffer.take()
    else:
        while True:
            number += 1
            yield number, buffer.item()
            if buffer.expect(",]", "a comma, or the array's end,") == "]":
                break
    if rest := buffer.next_character():
        raise buffer.error(f"{rest!r} follows the array")


class _ArrayText:
    """The text of a JSON array, of which no more is held than an item needs."""

    def __init__(self, lines: CorpusLines) -> None:
        self._path = lines.path
        self._pieces = (f"{text}\n" if ended else text for text, ended in lines.pieces())
        self._text, self._start, self._items = "", 0, 0
        self._decode = json.JSONDecoder().raw_decode

    def error(self, reason: str) -> CorpusError:
        """Return an error that names the item."""
        return CorpusError(f"{self._path} is no JSON array: after {self._items:,} items, {reason}")

    def next_character(self) -> str:
        """Return the next character that is no space; "" at the end."""
        while True:
            self._start = _SPACES.match(self._text, self._start).end()  # type: ignore[union-attr]
            if self._start < len(self._text) or not self._read(1):
                return self._text[self._start : self._start + 1]

    def take(self) -> None:
        """Pass over the next character."""
        self._start += 1

    def expect(self, characters: str, words: str) -> str:
        """Take one of several characters. Raises CorpusError for another."""
        following = self.next_character()
        if not following or following not in characters:
            raise self.error(f"{words} should follow, not {following or 'the end of the file'!r}")
        self.take()
        return following

    def item(self) -> Any:
        """Take a JSON value. Raises CorpusError where there is none."""
        self.next_character()
        while True:
            try:
                value, self._start = self._decode(self._text, self._start)
            except RecursionError:
                raise self.error("one is nested too deeply") from None
            except ValueError:
                if not self._read(len(self._text) - self._start):  # as much again
                    raise self.error("one is not JSON, or breaks off") from None
            else:
                self._items += 1
                return value

    def _read(self, size: int) -> bool:
        """Read at least `size` characters more; return False at the end of the file."""
        pieces, length = [], 0
        for piece in self._pieces:
            pieces.append(piece)
            length += len(piece)
            if length >= size:
                break
        self._text, self._start = self._text[self._start :] + "".join(pieces), 0
        return bool(pieces)
