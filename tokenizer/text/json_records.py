"""JSON records: an object on each line, or the items of one array."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..errors import CorpusError
from ..quantities import format_count
from .columns import PAIR, TEXT, Columns, Record, Row, field_names, field_value, listed
from .lines import MAX_RECORD_BYTES, CorpusLines, replace_surrogates

_SPACES = re.compile(r"[ \t\r\n]*")
_LONGEST_SIGN = 12  # characters, of a pair of surrogates: where a text breaks off, parsing ends
BLANK = object()  # a blank line's value


@dataclass(frozen=True)
class JsonObjects:
    """JSON objects, whose fields are the columns; dots lead into nested objects.

    Where no column is named, a value that is a text is the text itself.
    """

    # Numbered values; an error in the place of one that is no JSON.
    parse: Callable[[CorpusLines], Iterator[tuple[int, Any]]]
    unit: str  # that is numbered

    def located(self, lines: CorpusLines) -> Iterator[tuple[str, Any]]:
        """Yield the values, but blank ones, each with its location for messages.

        Raises CorpusError for what is no JSON.
        """
        for number, value in self.parse(lines):
            if isinstance(value, CorpusError):
                raise value
            if value is not BLANK:
                yield f"{lines.name}, {self.unit} {number}", value

    def records(self, lines: CorpusLines, columns: Columns) -> Iterator[Record]:
        """See RecordFormat."""
        names, is_first = columns.names, True
        for number, value in self.parse(lines):
            if value is BLANK or (isinstance(value, str) and not columns.names):
                yield Record(
                    (replace_surrogates(value, lines.counts),)
                    if isinstance(value, str)
                    else ("",) * (len(names) or columns.width)
                )
                continue
            if isinstance(value, CorpusError):
                yield Record(("",) * (len(names) or columns.width), error=value)
                continue
            names = names or self._default(value, columns, lines)
            location = f"{lines.name}, {self.unit} {number}"
            record = self._record(value, names or (TEXT,), location, columns, lines)
            if is_first and _is_wrong(record, value, columns):
                assert record.error is not None
                raise record.error
            is_first = False
            yield record

    def _default(self, value: Any, columns: Columns, lines: CorpusLines) -> Row:
        """Return the fields that are read where none are named, by a record; none without one."""
        fields = value if isinstance(value, dict) else {}
        if not columns.is_pair:
            return _text_field(fields, columns, lines)
        pair = fields.get(PAIR)
        sides = pair if isinstance(pair, dict) else fields
        names = [name for name, side in sides.items() if isinstance(side, str)]
        if len(names) != 2:
            raise CorpusError(
                f"{lines.name}: its records have {listed(field_names(value))}: name the two of a "
                "pair with --columns, source first"
            )
        lines.counts.notice(f"{lines.name}: pairs are {names[0]} and {names[1]} (--columns)")
        return tuple(names)

    def _record(
        self, value: Any, names: Row, location: str, columns: Columns, lines: CorpusLines
    ) -> Record:
        fields: dict[str, Any] = {}
        if columns.answered and isinstance(value, dict):
            fields = {name: each for name, each in value.items() if name not in names}
        try:
            texts = tuple([_text(value, name, columns, lines) for name in names])
        except KeyError as error:
            reason = (
                f"{location} has no field {error.args[0]!r}; it has {listed(field_names(value))}: "
                f"{columns.remedy}"
            )
        except TypeError as error:
            reason = f"{location}: there is no text in {error.args[0]!r}, but {error.args[1]}"
        else:
            return Record(texts, fields, is_json=True)
        return Record(("",) * len(names), fields, CorpusError(reason), is_json=True)


def _text_field(fields: dict[str, Any], columns: Columns, lines: CorpusLines) -> Row:
    """Return `text`, or if each record is answered its only field of text; none if it has none.

    Records that tell of an error in the place of an answer decide nothing.
    """
    if TEXT in fields or not columns.answered:
        return (TEXT,)
    names = [name for name, value in fields.items() if isinstance(value, str)]
    if not names or "error" in names:
        return ()
    if len(names) > 1:
        raise CorpusError(
            f"{lines.name} has no field {TEXT!r}; its records have {listed(field_names(fields))}: "
            f"{columns.remedy}"
        )
    lines.counts.notice(f"{lines.name}: the text is the field {names[0]} (--column)")
    return (names[0],)


def _is_wrong(record: Record, value: Any, columns: Columns) -> bool:
    """Return True for a first record that shows the column that was named to be none of text.

    That a text is null, or that a record tells of an error in the place of an answer, shows
    nothing.
    """
    if record.error is None or not columns.names or not isinstance(value, dict):
        return False
    with suppress(KeyError):
        return None not in [field_value(value, name) for name in columns.names]
    return "error" not in value


def _text(record: Any, name: str, columns: Columns, lines: CorpusLines) -> str:
    """Return a field's text. Raises KeyError without one, TypeError with its type."""
    value = field_value(record, name)
    if value is None and not columns.answered:
        return ""
    if not isinstance(value, str):
        raise TypeError(name, _type_name(value))
    return replace_surrogates(value, lines.counts)


def _type_name(value: Any) -> str:
    """Return the name of a value's type in JSON."""
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def parse_lines(lines: CorpusLines) -> Iterator[tuple[int, Any]]:
    """Yield the JSON values of lines; BLANK for blank ones, an error for those that are no JSON."""
    for line in lines:
        if not line.strip():
            yield lines.number, BLANK
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = CorpusError(f"{lines.location} is not JSON")
        yield lines.number, value


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
        self._path = lines.name
        self._pieces = (f"{text}\n" if ended else text for text, ended in lines.pieces())
        self._text, self._start, self._items = "", 0, 0
        self._decode = json.JSONDecoder().raw_decode

    def error(self, reason: str) -> CorpusError:
        """Return an error that names the item."""
        return CorpusError(
            f"{self._path} is no JSON array: after {format_count(self._items, 'item')}, {reason}"
        )

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
            except json.JSONDecodeError as error:
                self._read_on(error)
            except ValueError as error:  # a number of thousands of digits
                raise self.error(f"one is not read: {error}") from None
            else:
                self._items += 1
                return value

    def _read_on(self, error: json.JSONDecodeError) -> None:
        """Read as much again as an item has so far. Raises CorpusError if that cannot mend it."""
        held = len(self._text) - self._start
        ends_in_text = error.msg.startswith("Unterminated string")
        if not ends_in_text and error.pos + _LONGEST_SIGN < len(self._text):
            near = self._text[max(self._start, error.pos - 20) : error.pos + 20]
            raise self.error(f"one is not JSON: {error.msg.lower()} in {near!r}")
        if held > MAX_RECORD_BYTES:
            raise self.error(f"one is longer than {MAX_RECORD_BYTES >> 20} MiB")
        if not self._read(held):
            raise self.error("one is not JSON, or breaks off")

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
