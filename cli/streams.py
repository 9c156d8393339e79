"""stdin, stdout and files: lines in, lines out, in order."""

import errno
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from .console import BAD_DATA, say
from .options import Filtering

if TYPE_CHECKING:
    from tokenizer import Counts
    from transformer.decoding import Answer, Source


def input_lines(
    paths: Sequence[str] | None, counts: "Counts", column: str | None = None
) -> Iterator[str]:
    """The lines of files, or of stdin where there are none (or `-`); whole, unless a column is
    asked for."""
    from tokenizer import Text, read_all

    texts = [Text(path, column, plain=column is None) for path in paths or ["-"]]
    return read_all(texts, counts)


def piped_text() -> str:
    """All of stdin, where something is piped into the program; else nothing."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", errors="replace")


class Writer:
    """Lines and pieces of text to a stream, as UTF-8 whatever the locale."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """One line, shown at once."""
        self.piece(f"{text}\n")

    def piece(self, text: str) -> None:
        """A piece of a line, shown at once."""
        self._stream.write(text.encode("utf-8", errors="replace"))
        self._stream.flush()


@contextmanager
def output(path: Path | None, *, reading: Sequence[str] | None = None) -> Iterator[Writer]:
    """Where results go: a file other than those that are being read, or stdout."""
    read = [Path(name) for name in reading or [] if name != "-" and Path(name).exists()]
    if path is not None and path.exists() and any(path.samefile(other) for other in read):
        raise FileExistsError(errno.EEXIST, "is the input; name another output", str(path))
    if path is None:
        yield Writer(sys.stdout.buffer)
    else:
        with path.open("wb") as stream:
            yield Writer(stream)


# What a command does with its lines: answers in order, and notes of what happened, by name.
Run = Callable[["Source", Counter[str]], Iterator["Answer"]]


def filter_lines(
    files: Sequence[str] | None,
    asked: Filtering,
    run: Run,
    show: Callable[["Answer"], Iterable[str]],
) -> None:
    """The filter: every line of files or stdin answered, in order; then what had to be mended.

    A line that fails is shown like the others, by `show`. With --strict it makes the exit code 4.
    """
    from tokenizer import Counts

    from .reading import LineReader

    counts, notes, told = Counts(), Counter[str](), False
    reader = LineReader(files or ["-"], counts, column=asked.column, as_json=asked.json_input)
    with output(asked.out, reading=files) as writer, reader as source:
        for answer in run(source, notes):
            if answer.error is not None and not asked.quiet and not told:
                told = True
                say(f"line {answer.line.number + 1:,}: {answer.error}")
            for line in show(answer):
                writer.line(line)
    report(counts, quiet=asked.quiet, notes=notes)
    if asked.strict and notes["failed"]:
        raise typer.Exit(BAD_DATA)


def report(counts: "Counts", *, quiet: bool, notes: Counter[str] | None = None) -> None:
    """Say what had to be mended in the input, and what went wrong with the output."""
    if quiet:
        return
    notes = notes or Counter()
    told = {
        "lines with invalid UTF-8, read as U+FFFD": counts.replaced,
        "lines too long, which were shortened": counts.shortened + notes["shortened"],
        "lines without an answer": notes["failed"],
        "answers that ran into a loop, written again": notes["repeating"],
        "answers cut off at their limit, which -n sets": notes["unfinished"],
    }
    for what, number in told.items():
        if number:
            say(f"{what}: {number:,}")
