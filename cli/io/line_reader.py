"""Lines of text files, tables and JSON."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenizer import CorpusCounts, CorpusError, TextFile
from tokenizer.corpus import (
    GZIP_ERRORS,
    byte_lines,
    damaged_gzip,
    decode_line,
    extract_column,
    is_json,
    open_bytes,
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


class LineReader:
    """The lines of files, one after another; `-` is stdin.

    Each line of a JSONL file (of all files, with `as_json`) is an object: its field `column`, or
    `text`, is the line, and its other fields are repeated with the answer. A line that is no object
    fails alone. Raises ConfigError for a TSV column that is not a number.
    """

    def __init__(
        self, paths: Sequence[str], counts: CorpusCounts, *, column: str | None, as_json: bool
    ) -> None:
        self._texts = [TextFile(path, column) for path in paths]
        tables = [text for text in self._texts if not as_json and not is_json(text)]
        if column is not None and tables and not (column.isdecimal() and int(column)):
            raise ConfigError(
                f"--column is {column!r}; columns are numbers from 1, but for JSON (--json-input)"
            )
        self._counts, self._as_json = counts, as_json

    def __iter__(self) -> Iterator[Line]:
        number, notices = 0, ReadingNotices(self._counts)
        for text in self._texts:
            with open_bytes(text.path) as stream:
                try:
                    for line_number, raw in enumerate(byte_lines(stream, self._counts), 1):
                        line = decode_line(raw, self._counts)
                        parsed = self._parse_line(number, line, text, line_number)
                        yield parsed._replace(notices=notices())
                        number += 1
                except GZIP_ERRORS as error:
                    raise damaged_gzip(text.path, error) from None

    def _parse_line(self, number: int, line: str, text: TextFile, line_number: int) -> Line:
        """Parse line `number` of all, `line_number` of its file."""
        try:
            if self._as_json or is_json(text):
                return self._parse_record(number, line, text.column or "text")
            if text.column is not None:
                line = extract_column(line, text, line_number, self._counts)
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
        text, prefix = fields.pop(text_field, None), fields.pop(PREFIX, "")
        if not isinstance(text, str) or not isinstance(prefix, str):
            bad_field = text_field if not isinstance(text, str) else PREFIX
            return Line(number, "", fields=fields, error=f"the line has no text in {bad_field!r}")
        text, prefix = (replace_surrogates(value, self._counts) for value in (text, prefix))
        return Line(number, text, prefix, fields)
