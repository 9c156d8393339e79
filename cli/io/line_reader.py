"""Lines of text files, tables and JSON."""

from collections.abc import Iterable, Iterator, Sequence

from tokenizer import CorpusCounts
from tokenizer.text import Record, replace_surrogates
from transformer.pipelines.notices import Notices, that_happened
from transformer.pipelines.records import Line, LineSource

from .streams import input_records
from .typed_text import typed_texts

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


def whole_records(records: Iterable[Record], counts: CorpusCounts) -> Iterator[Line]:
    """Yield records as lines, with all their other fields, and with notices from `counts`.

    Raises the CorpusError of a record without a text.
    """
    notices = ReadingNotices(counts)
    for number, record in enumerate(records):
        if record.error is not None:
            raise record.error
        yield Line(number, record.texts[0], fields=record.fields, notices=notices())


def typed_lines(counts: CorpusCounts, hint: str | None) -> Iterator[Line]:
    """Yield the lines typed at the terminal; see `typed_texts`."""
    notices = ReadingNotices(counts)
    for number, text in enumerate(typed_texts(counts, hint)):
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
    """The lines, or the records, of files: see `input_records`.

    The other fields of a record are repeated with the answer; the field `prefix` of JSON begins
    the answer. A record that lacks its text fails alone.
    """

    def __init__(
        self,
        paths: Sequence[str],
        counts: CorpusCounts,
        *,
        column: str | None = None,
        plain: bool = False,
        as_json: bool = False,
        whole_rows: bool = False,
    ) -> None:
        self._records = input_records(
            paths, counts, column=column, plain=plain, as_json=as_json, whole_rows=whole_rows
        )
        self._counts = counts

    def __iter__(self) -> Iterator[Line]:
        notices = ReadingNotices(self._counts)
        for number, record in enumerate(self._records):
            yield self._line(number, record)._replace(notices=notices())

    def _line(self, number: int, record: Record) -> Line:
        (text,), fields = record.texts, dict(record.fields)
        prefix = fields.pop(PREFIX, "") if record.is_json else ""
        if record.error is not None:
            return Line(number, "", fields=fields, error=str(record.error))
        if not isinstance(prefix, str):
            return Line(number, "", fields=fields, error=f"the line has no text in {PREFIX!r}")
        return Line(number, text, replace_surrogates(prefix, self._counts), fields)
