"""The columns to read of a table or of JSON, and the records that come of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from ..errors import CorpusError
from .lines import CorpusLines

TEXT = "text"  # the field, or the column of a header, that is read where none is named
PAIR = "translation"  # a field that holds both sides of a pair, as in many published data sets
MAX_LISTED = 20  # names in an error
_MAX_DEPTH = 8  # of nested fields that are listed
NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
Row = tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """The columns to read: by name or number, or if none are named the first `default`.

    A default of None reads them all.
    """

    names: Row = ()
    default: int | None = 1
    is_pair: bool = False  # the two sides of a pair
    answered: bool = False  # each record is answered: nothing is left out, other fields are kept
    sole: bool = False  # a text that is one of several columns must be named
    remedy: str = "name others with --column or --columns"
    choice: str = "name a field of it as the column to read that instead"

    @property
    def by_number(self) -> bool:
        """True if all columns are numbers from 1."""
        return all(name.isdecimal() and int(name) > 0 for name in self.names)

    @property
    def indexes(self) -> list[int]:
        """The indexes of columns that are named by numbers."""
        return [int(name) - 1 for name in self.names]

    @property
    def width(self) -> int:
        """The number of texts of a record without any."""
        return max(1, len(self.names) or self.default or 1)

    @property
    def least(self) -> int:
        """The least number of columns in which those that are read can be."""
        return max(self.indexes) + 1 if self.names and self.by_number else self.width


class Record(NamedTuple):
    """The columns of a record that are read, or the reason why they cannot be."""

    texts: Row
    fields: Mapping[str, Any] = NO_FIELDS  # the others, by name, where they are kept
    error: CorpusError | None = None
    is_json: bool = False


class RecordFormat(Protocol):
    """A format of records."""

    def records(self, lines: CorpusLines, columns: Columns) -> Iterator[Record]:
        """Yield each record; empty texts for a blank line.

        A record that lacks a column has an error of its own, which lists those that there are.
        Raises CorpusError where what follows cannot be read either.
        """
        ...


def rows(layout: RecordFormat, lines: CorpusLines, columns: Columns) -> Iterator[Row]:
    """Yield the columns of each record. Raises CorpusError at the first that has an error."""
    for texts, _, error, _ in layout.records(lines, columns):
        if error is not None:
            raise error
        yield texts


def field_value(record: Any, name: str) -> Any:
    """Return a field: by its name, by a path with dots, or out of `translation`.

    Raises KeyError.

    >>> field_value({"translation": {"en": "a"}}, "en")
    'a'
    """
    if not isinstance(record, dict):
        raise KeyError(name)
    if name in record:
        return record[name]
    first, dot, rest = name.partition(".")
    if dot and first in record:
        return field_value(record[first], rest)
    if isinstance(pair := record.get(PAIR), dict) and name in pair:
        return pair[name]
    raise KeyError(name)


def field_names(record: Any, prefix: str = "", depth: int = _MAX_DEPTH) -> list[str]:
    """Return the names of fields, nested ones with dots, no deeper than `depth`."""
    if not isinstance(record, dict) or not depth:
        return []
    names: list[str] = []
    for key, value in record.items():
        names += field_names(value, f"{prefix}{key}.", depth - 1) or [f"{prefix}{key}"]
    return names


def listed(names: Sequence[str]) -> str:
    """Return names as text, the first twenty of them."""
    shown = ", ".join(name[:40] or "(no name)" for name in names[:MAX_LISTED])
    return f"{shown or 'none'}{' …' if len(names) > MAX_LISTED else ''}"
