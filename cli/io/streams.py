"""Lines and whole texts from files or stdin."""

import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .output_checks import descriptor_of

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
    remedy: str = "",
    choice: str = "",
) -> "Iterator[Record]":
    """Yield the records of files, one after another; `-` is stdin.

    With `plain` they are the lines of all; else see `read_filter_records`. Of a table of which no
    column is named, the error has a command's own `remedy` too; of lines that look like a table,
    the notice has its own `choice`.
    """
    from dataclasses import replace

    from tokenizer.text import FILTER_COLUMNS, Record, read_filter_lines, read_filter_records

    columns = replace(
        FILTER_COLUMNS,
        names=() if column is None else (column,),
        remedy=f"{FILTER_COLUMNS.remedy}{remedy}",
        choice=choice or FILTER_COLUMNS.choice,
    )
    for path in paths:
        if plain:
            yield from (Record((line,)) for line in read_filter_lines(path, counts))
        else:
            yield from read_filter_records(
                path, counts, columns, as_json=as_json, whole_rows=whole_rows
            )


def has_arrived(path: str) -> bool:
    """Return True for a stream that is open and of which there is something to read, or its end."""
    descriptor = 0 if path == "-" else descriptor_of(Path(path))
    if descriptor is None:
        return False
    try:
        descriptor = sys.stdin.fileno() if path == "-" else descriptor
    except OSError:  # it is in memory
        return True
    except AttributeError:  # it is closed
        return False
    with suppress(OSError, ValueError):
        return bool(select.select([descriptor], [], [], 0)[0])
    return False


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
