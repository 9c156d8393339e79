"""Lines of text files, tables and JSON."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Self

from tokenizer import CorpusCounts
from tokenizer.text import Record, replace_surrogates
from tokenizer.text.sources import is_rereadable
from transformer.pipelines.notices import Notices, that_happened
from transformer.pipelines.records import Line, LineSource

from ..options.common import LineIOOptions
from .streams import has_arrived, input_records
from .typed_text import is_typed, typed_texts

PREFIX = "prefix"  # the field with which a line's answer begins


class ReadingNotices:
    """Notices about the lines that were read since the last call, from what readers count."""

    def __init__(self, counts: CorpusCounts) -> None:
        self._counts = counts
        self._replaced, self._shortened = counts.replaced, counts.shortened

    def __call__(self) -> Notices:
        """Return what happened to the line that was just read."""
        before, counts = (self._replaced, self._shortened), self._counts
        self._replaced, self._shortened = counts.replaced, counts.shortened
        return that_happened(
            invalid_utf8=counts.replaced > before[0], shortened=counts.shortened > before[1]
        )


def typed_lines(counts: CorpusCounts, hint: str | None, *, tabs: bool = False) -> Iterator[Line]:
    """Yield the lines typed at the terminal; see `typed_texts`."""
    notices = ReadingNotices(counts)
    for number, text in enumerate(typed_texts(counts, hint, tabs=tabs)):
        yield Line(number, text, notices=notices())


class TypedSource(LineSource):
    """A source of typed lines: the next is waited for only once the last has its answer."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        """See LineSource."""
        del limit
        if not wait:
            return []
        line = next(self._lines, None)
        return None if line is None else [line]


class LineReader:
    """The lines, or the records, of files, in one pass: see `input_records`.

    The other fields of a record are repeated with the answer; the field `prefix` of JSON begins
    the answer. A record that lacks its text fails alone.
    """

    def __init__(
        self,
        paths: Sequence[str],
        counts: CorpusCounts | None = None,
        *,
        column: str | None = None,
        plain: bool = False,
        as_json: bool = False,
        whole_rows: bool = False,
        remedy: str = "",
        choice: str = "",
        with_prefix: bool = True,
    ) -> None:
        self.paths, self.counts = paths, CorpusCounts() if counts is None else counts
        self._options: dict[str, Any] = {
            "column": column,
            "plain": plain,
            "as_json": as_json,
            "whole_rows": whole_rows,
            "remedy": remedy,
            "choice": choice,
        }
        self._with_prefix = with_prefix
        self._lines = self._read()

    @classmethod
    def from_options(
        cls,
        paths: Sequence[str],
        options: LineIOOptions,
        *,
        whole_rows: bool = False,
        remedy: str = "",
        choice: str = "",
        with_prefix: bool = True,
    ) -> Self:
        """Return the reader of a command's lines.

        With `whole_rows`, the rows of a TSV are lines unless a column is named. `remedy` is what
        else the command can do with a table, `choice` what with lines that look like one. Without
        `with_prefix`, the field `prefix` is one like others.
        """
        return cls(
            paths,
            column=options.column,
            plain=options.plain,
            as_json=options.json_input,
            whole_rows=whole_rows,
            remedy=remedy,
            choice=choice,
            with_prefix=with_prefix,
        )

    def __iter__(self) -> Iterator[Line]:
        return self._lines

    @property
    def is_typed(self) -> bool:
        """True for plain lines that someone types at a terminal."""
        return is_typed(self.paths) and not (self._options["column"] or self._options["as_json"])

    def check_first_records(self) -> None:
        """Raise CorpusError for input whose first record shows that it cannot be read so.

        Such as a column that there is not. Of input that can be read only once, that which comes
        first is looked at, if it is there already.
        """
        for path in self.paths:
            if is_rereadable(path):
                next(input_records([path], CorpusCounts(), **self._options), None)
        first = self.paths[0]
        if not is_rereadable(first) and not self.is_typed and has_arrived(first):
            self._lines = chain([*islice(self._lines, 1)], self._lines)

    def _read(self) -> Iterator[Line]:
        notices = ReadingNotices(self.counts)
        for number, record in enumerate(input_records(self.paths, self.counts, **self._options)):
            yield self._line(number, record)._replace(notices=notices())

    def _line(self, number: int, record: Record) -> Line:
        (text,), fields = record.texts, dict(record.fields)
        prefix = fields.pop(PREFIX, "") if record.is_json and self._with_prefix else ""
        if record.error is not None:
            return Line(number, "", fields=fields, error=str(record.error))
        if not isinstance(prefix, str):
            return Line(number, "", fields=fields, error=f"the line has no text in {PREFIX!r}")
        return Line(number, text, replace_surrogates(prefix, self.counts), fields)


class RecordReader(LineReader):
    """The records of files with all their other fields; one that lacks its text is an error."""

    def _line(self, number: int, record: Record) -> Line:
        if record.error is not None:
            raise record.error
        return Line(number, record.texts[0], fields=record.fields)
