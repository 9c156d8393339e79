"""Lines and whole texts from files or stdin."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizer import CorpusCounts
    from tokenizer.text import Record


def input_records(
    paths: Sequence[str],
    counts: "CorpusCounts",
    *,
    column: str | None = None,
    plain: bool = False,
    as_json: bool = False,
    whole_rows: bool = False,
) -> "Iterator[Record]":
    """Yield the records of files, one after another; `-` is stdin.

    With `plain` they are the lines of all; else see `read_filter_records`.
    """
    from dataclasses import replace

    from tokenizer.text import FILTER_COLUMNS, Record, read_filter_lines, read_filter_records

    columns = replace(FILTER_COLUMNS, names=() if column is None else (column,))
    for path in paths:
        if plain:
            yield from (Record((line,)) for line in read_filter_lines(path, counts))
        else:
            yield from read_filter_records(
                path, counts, columns, as_json=as_json, whole_rows=whole_rows
            )


def check_first_records(
    paths: Sequence[str],
    *,
    column: str | None = None,
    plain: bool = False,
    as_json: bool = False,
    whole_rows: bool = False,
) -> None:
    """Raise CorpusError for files whose first record shows that they cannot be read so.

    Such as a column that there is not. What can be read only once is not looked at.
    """
    from tokenizer import CorpusCounts
    from tokenizer.text.sources import is_rereadable

    for path in paths:
        if is_rereadable(path):
            options = {"plain": plain, "as_json": as_json, "whole_rows": whole_rows}
            next(input_records([path], CorpusCounts(), column=column, **options), None)


def input_lines(
    paths: Sequence[str] | None,
    counts: "CorpusCounts",
    column: str | None = None,
    *,
    plain: bool = False,
) -> Iterator[str]:
    """Yield the texts of files, or of stdin without paths or for `-`: see `input_records`.

    Raises OSError, or CorpusError at a record without a text.
    """
    for texts, _, error, _ in input_records(paths or ["-"], counts, column=column, plain=plain):
        if error is not None:
            raise error
        yield texts[0]


def piped_text(counts: "CorpusCounts") -> str:
    """Read all of stdin; return "" if it is a terminal or closed. Raises CorpusError."""
    from tokenizer import STDIN, read_text

    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return read_text(STDIN, counts)
