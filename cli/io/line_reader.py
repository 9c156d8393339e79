"""A thread that reads lines ahead, so that decoding continues while input is slow."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

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
from transformer.pipelines.records import Line

_MAX_LINES, _MAX_BYTES = 4096, 1 << 24  # limits of what is read ahead
PREFIX = "prefix"  # the JSON field with which a line's answer begins


def _reject_constant(name: str) -> float:
    """Refuse NaN and Infinity, which Python's parser would accept."""
    raise ValueError(f"{name} is not JSON")


class LineReader:
    """A LineSource of the lines of files, one after another; `-` is stdin.

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
        self._lines: deque[tuple[Line, int]] = deque()  # with its bytes
        self._bytes = 0
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._changed = Condition()
        self._thread = Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        """Implement LineSource.take; raise a reading error once all lines before it are taken."""
        with self._changed:
            while wait and not self._lines and not self._ended:
                self._changed.wait()
            taken = [self._lines.popleft() for _ in range(min(limit, len(self._lines)))]
            self._bytes -= sum(size for _, size in taken)
            self._changed.notify_all()
            if taken or not self._ended:
                return [line for line, _ in taken]
            if self._error is not None:
                raise self._error
            return None

    def _read(self) -> None:
        """Read until the end, an error, or the exit from the context: the body of the thread."""
        try:
            for line, size in self._parsed_lines():
                with self._changed:
                    while self._is_full() and not self._closed:
                        self._changed.wait()
                    if self._closed:
                        return
                    self._lines.append((line, size))
                    self._bytes += size
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return len(self._lines) >= _MAX_LINES or self._bytes >= _MAX_BYTES

    def _parsed_lines(self) -> Iterator[tuple[Line, int]]:
        """Yield each line with its bytes."""
        number = 0
        for text in self._texts:
            with open_bytes(text.path) as stream:
                try:
                    for line_number, raw in enumerate(byte_lines(stream, self._counts), 1):
                        line = decode_line(raw, self._counts)
                        yield self._parse_line(number, line, text, line_number), len(raw)
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
