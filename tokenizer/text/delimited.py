"""Tables: cells with a separator between them, TSV and CSV."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from ..errors import CorpusError
from ..quantities import format_count
from .columns import NO_FIELDS, TEXT, Columns, Record, listed
from .headers import begins_with_names
from .lines import MAX_RECORD_BYTES, CorpusLines
from .packing import CHUNK

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_UNQUOTED = "a text with the separator in it needs quotation marks in CSV"
_SAMPLE = 50  # rows that tell the delimiter
_EXCEL_MARK = re.compile(r"sep=(.)\r?\n?")  # Excel's first line, which names the delimiter

# Python's limit for a cell, 128 KiB, is one for the whole process: it is raised once, when this
# is imported, and never lowered.
csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))


@dataclass(frozen=True)
class Delimited:
    """Cells with a separator between them.

    Columns are numbers from 1; named ones stand in the first row, which then is no data.
    """

    split: Callable[[CorpusLines], Iterator[list[str]]]
    quoted: bool  # True if a text with the separator in it stands in quotation marks

    def records(self, lines: CorpusLines, columns: Columns) -> Iterator[Record]:
        """See RecordFormat."""
        head = lines.stream.peek(CHUNK).decode("utf-8", "replace")  # type: ignore[attr-defined]
        rows = self.split(lines)
        if (first := next(rows, None)) is None:
            return
        indexes, header = self._select(first, columns, lines)
        names = {n: name for n, name in enumerate(header) if name and n not in indexes}
        refused = self.quoted and not columns.names and not header  # any text may have commas
        if refused:
            _refuse_uneven(head, columns, lines)
        checked = self.quoted or bool(header) or not columns.names
        wider = _WiderRows(first, columns, lines, refused=refused)
        needed = max(indexes) + 1
        if not header and len(first) < needed and any(cell.strip() for cell in first):
            raise _narrow(first, needed, columns, lines)
        count = 0
        try:
            for count, cells in enumerate(rows if header else chain([first], rows), start=1):  # noqa: B007
                if checked and len(cells) > len(first) and (error := wider.add(cells)):
                    yield Record(("",) * len(indexes), error=error)
                elif len(cells) >= needed:
                    texts = tuple([cells[index] for index in indexes])
                    yield Record(texts, _others(names, cells) if columns.answered else NO_FIELDS)
                elif not any(cell.strip() for cell in cells):
                    yield Record(("",) * len(indexes))
                else:
                    yield Record(("",) * len(indexes), error=_narrow(cells, needed, columns, lines))
        finally:
            wider.notice()
        if header and not count:
            lines.counts.notice(f"{lines.name} has a row of names ({listed(header)}), and no other")

    def _select(
        self, first: list[str], columns: Columns, lines: CorpusLines
    ) -> tuple[list[int], list[str]]:
        """Return the indexes of the columns, and the names in the first row if it is a header."""
        header = [cell.strip() for cell in first]
        names = columns.names
        if not names and not columns.is_pair and TEXT in header:
            names = (TEXT,)
            if columns.answered:
                lines.counts.notice(f"{lines.name}: the text is the column {TEXT} (--column)")
        if not names:
            return _first_columns(header, columns, lines), []
        if columns.names and columns.by_number:
            if columns.answered and (suspicion := begins_with_names(lines.name, header)):
                lines.counts.notice(
                    f"{suspicion}, which are read as text: --column with a name leaves them out"
                )
            return columns.indexes, []
        if missing := [name for name in names if name not in header]:
            raise CorpusError(
                f"{lines.name} has no column {missing[0]!r}; its first line has {listed(header)}: "
                "name those, or give numbers from 1"
            )
        for name in names:
            _refuse_twice(name, header, lines.name)
        if columns.answered:
            lines.counts.notice(f"{lines.name}: its first row names the columns, and has no answer")
        return [header.index(name) for name in names], header


def _first_columns(header: Sequence[str], columns: Columns, lines: CorpusLines) -> list[int]:
    """Return the indexes of the columns that are read where none is named."""
    width, default = len(header), columns.default
    if columns.sole and width > 1:
        raise CorpusError(
            f"{lines.name} has {format_count(width, 'column')}; its first line has "
            f"{listed(header)}: "
            f"{columns.remedy}"
        )
    count = width if default is None else default
    if width > (default or 1):
        read = {None: "all are", 1: "the first is"}.get(default, f"the first {count} are")
        lines.counts.notice(f"{lines.name} has {format_count(width, 'column')}; {read} read")
    return list(range(count))


def _refuse_twice(name: str, header: Sequence[str], path: str) -> None:
    """Raise CorpusError for a name that several columns have."""
    numbers = [str(number) for number, each in enumerate(header, start=1) if each == name]
    if len(numbers) > 1:
        raise CorpusError(
            f"{path} has {len(numbers)} columns {name!r}, the numbers {' and '.join(numbers)}: "
            "give the number of the one to read, and leave out the row of names, which is text then"
        )


def _others(names: dict[int, str], cells: Sequence[str]) -> dict[str, str]:
    return {name: cells[index] for index, name in names.items() if index < len(cells)}


class _WiderRows:
    """Rows with more columns than the first: an error each, or all of them one notice."""

    def __init__(
        self, first: Sequence[str], columns: Columns, lines: CorpusLines, *, refused: bool
    ) -> None:
        self._width, self._lines = len(first), lines
        self._count, self._example = 0, ""
        self._refused = refused or columns.answered
        self._hint = f"{_UNQUOTED}; {_whole_lines(columns)}" if refused else _UNQUOTED

    def add(self, cells: Sequence[str]) -> CorpusError | None:
        """Return an error if such rows are refused, or records answered; count it otherwise.

        A row whose other columns are empty is none.
        """
        if not any(cell.strip() for cell in cells[self._width :]):
            return None
        if self._refused or not self._count:
            self._example = (
                f"{self._lines.location} has {format_count(len(cells), 'column')}, the "
                f"first line {self._width}: "
                f"{self._hint}"
            )
        if self._refused:
            return CorpusError(self._example)
        self._count += 1
        return None

    def notice(self) -> None:
        """Tell of the rows that were counted."""
        if self._count:
            rows = format_count(self._count, "row")
            self._lines.counts.notice(
                f"{self._example}; columns beyond those of the first line are not read in {rows}"
            )


def _refuse_uneven(head: str, columns: Columns, lines: CorpusLines) -> None:
    """Raise CorpusError for CSV without names of which a row has more columns than the first."""
    first, *others = sample_rows(head, find_delimiter(head) or ",") or [[]]
    width = len(first)
    if wider := [len(row) for row in others if any(map(str.strip, row[width:]))]:
        raise CorpusError(
            f"{lines.name} has rows of {width} to {max(wider)} columns, and no row of names: "
            f"{_UNQUOTED}; {_whole_lines(columns)}"
        )


def _whole_lines(columns: Columns) -> str:
    """Return the way to read whole lines, or that there is none to read pairs."""
    if columns.is_pair:
        return "pairs need two columns in each row"
    return "--plain reads whole lines" if columns.answered else "a file named .txt has whole lines"


def _narrow(cells: Sequence[str], needed: int, columns: Columns, lines: CorpusLines) -> CorpusError:
    width = format_count(len(cells), "column")
    if columns.is_pair and not columns.names:
        return CorpusError(
            f"{lines.location} has {width}; pairs need two: tabs separate columns, commas do in "
            "files named .csv (running text is --text)"
        )
    hint = "" if len(cells) > 1 else " (tabs separate columns; commas do in files named .csv)"
    return CorpusError(f"{lines.location} has {width}; column {needed} was requested{hint}")


def split_tabs(lines: CorpusLines) -> Iterator[list[str]]:
    """Yield the cells of lines; quotation marks in them are ordinary text."""
    return (line.split("\t") for line in lines)


def first_cells(head: str) -> list[str]:
    """Return the cells of the first line of a TSV, by its beginning."""
    return [cell.strip() for cell in head.partition("\n")[0].split("\t")]


def split_quoted(lines: CorpusLines) -> Iterator[list[str]]:
    """Yield the cells of CSV (RFC 4180), with the delimiter that its first rows have."""
    head = lines.stream.peek(CHUNK).decode("utf-8", "replace")  # type: ignore[attr-defined]
    delimiter = find_delimiter(head) or ","
    iterator = lines.with_ends()  # which a quoted cell keeps as they are
    if _EXCEL_MARK.match(head):
        next(iterator)
    try:
        yield from csv.reader(iterator, delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise CorpusError(f"{lines.location} is not CSV: {error}") from None


def find_delimiter(head: str, least: int = 1) -> str | None:
    """Return the delimiter of CSV by its beginning, or None if no row has `least` columns.

    Of commas, semicolons and tabs it is the one that gives all rows equally many columns, or else
    the most frequent in the first row.
    """
    if mark := _EXCEL_MARK.match(head):
        return mark[1]
    widths = {delimiter: _widths(head, delimiter) for delimiter in _DELIMITERS}
    even = {d: found[0] for d, found in widths.items() if len({*found}) == 1 and found[0] > 1}
    candidates = even or (
        {d: found[0] for d, found in widths.items() if found} if least < 2 else {}
    )
    best = max(candidates, key=candidates.__getitem__, default=None)
    return best if best is not None and candidates[best] >= least else None


def delimiter_name(delimiter: str) -> str:
    """Return the name of a delimiter, in the plural."""
    return _DELIMITERS.get(delimiter, repr(delimiter))


def _widths(head: str, delimiter: str) -> list[int]:
    return [len(row) for row in sample_rows(head, delimiter)]


def sample_rows(head: str, delimiter: str, *, most: int = _SAMPLE) -> list[list[str]]:
    """Return the first rows of CSV that are whole and not blank, by its beginning."""
    lines = [*io.StringIO(head, newline="\n")]
    whole = lines if head.endswith("\n") or len(lines) == 1 else lines[:-1]
    rows = csv.reader(whole, delimiter=delimiter)
    try:
        found = [cells for cells in islice(rows, most) if any(map(str.strip, cells))]
    except csv.Error:
        return []
    # A row that was cut, in a quoted cell, counts only if it is alone.
    return found[:-1] if len(found) > 1 and rows.line_num == len(whole) < len(lines) else found
