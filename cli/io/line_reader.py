"""Lines of text files, tables and JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenizer import CorpusCounts, CorpusError
from tokenizer.text import (
    cell,
    field_value,
    is_json_lines,
    read_filter_lines,
    replace_surrogates,
)
from transformer.errors import ConfigError
from transformer.pipelines.notices import Notices, that_happened
from transformer.pipelines.records import Line

PREFIX = "prefix"  # the JSON field with which a line's answer begins


def _reject_constant(name: str) -> float:
    """Refuse NaN and Infinity, which Python's parser would accept."""
    raise ValueError(f"{name} is not JSON")


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


def numbered_lines(texts: Iterable[str], counts: CorpusCounts) -> Iterator[Line]:
    """Yield texts as lines, with notices from `counts`, which their reader increments."""
    notices = ReadingNotices(counts)
    for number, text in enumerate(texts):
        yield Line(number, text, notices=notices())


def _take_field(fields: dict[str, Any], name: str) -> Any:
    """Return a field, or None; one that is not nested is removed."""
    try:
        value = field_value(fields, name)
    except KeyError:
        return None
    fields.pop(name, None)
    return value


class LineReader:
    """The lines of files, one after another; `-` is stdin.

    Each line of a JSONL file (of all files, with `as_json`) is an object: its field `column`, or
    `text`, is the line, and its other fields are repeated with the answer. A line that is no object
    fails alone. Raises ConfigError for a TSV column that is not a number.
    """

    def __init__(
        self, paths: Sequence[str], counts: CorpusCounts, *, column: str | None, as_json: bool
    ) -> None:
        as_records = [as_json or is_json_lines(path) for path in paths]
        if column is not None and not all(as_records) and not (column.isdecimal() and int(column)):
            raise ConfigError(
                f"--column is {column!r}; columns are numbers from 1, but for JSON (--json-input)"
            )
        self._texts = list(zip(paths, as_records, strict=True))
        self._counts, self._column = counts, column

    def __iter__(self) -> Iterator[Line]:
        number, notices = 0, ReadingNotices(self._counts)
        for path, as_record in self._texts:
            for line_number, line in enumerate(read_filter_lines(path, self._counts), 1):
                location = f"{path}, line {line_number}"
                parsed = self._parse_line(number, line, location, as_record=as_record)
                yield parsed._replace(notices=notices())
                number += 1

    def _parse_line(self, number: int, line: str, location: str, *, as_record: bool) -> Line:
        """Parse line `number` of all."""
        try:
            if as_record:
                return self._parse_record(number, line, self._column or "text")
            if self._column is not None:
                line = cell(line, self._column, location)
            return Line(number, line)
        except CorpusError as error:
            return Line(number, "", error=str(error))

    def _parse_record(self, number: int, line: str, text_field: str) -> Line:
        """Parse a JSON object; raise CorpusError where it is none."""
        if not line.strip():
            return Line(number, "")
        try:
            fields: Any = json.loads(line, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            raise CorpusError("the line is not JSON") from None
        if not isinstance(fields, dict):
            raise CorpusError("the line is not a JSON object")
        text, prefix = _take_field(fields, text_field), fields.pop(PREFIX, "")
        if not isinstance(text, str) or not isinstance(prefix, str):
            bad_field = text_field if not isinstance(text, str) else PREFIX
            return Line(number, "", fields=fields, error=f"the line has no text in {bad_field!r}")
        text, prefix = (replace_surrogates(value, self._counts) for value in (text, prefix))
        return Line(number, text, prefix, fields)
