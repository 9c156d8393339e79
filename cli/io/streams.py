"""Lines and whole texts from files or stdin."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizer import CorpusCounts


def input_lines(
    paths: Sequence[str] | None, counts: "CorpusCounts", column: str | None = None
) -> Iterator[str]:
    """Yield the lines of files, or of stdin without paths or for `-`; only `column`, if given."""
    from tokenizer.text import read_filter_column, read_filter_lines

    for path in paths or ["-"]:
        if column is None:
            yield from read_filter_lines(path, counts)
        else:
            yield from read_filter_column(path, column, counts)


def piped_text(counts: "CorpusCounts") -> str:
    """Read all of stdin; return "" if it is a terminal or closed. Raises CorpusError."""
    from tokenizer import STDIN, read_text

    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return read_text(STDIN, counts)
