"""The filter that commands share: lines in, answers out, in order."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import typer

from ..console import print_notice
from ..errors import BAD_DATA
from ..options.common import LineIOOptions
from .outputs import output
from .typed_text import HINT, is_typed

if TYPE_CHECKING:
    from tokenizer import CorpusCounts
    from transformer.pipelines.records import Answer, Line, LineSource, Output

    from .line_progress import LineProgress


# Answers lines in order, and counts events such as failed lines by name.
AnswerLines = Callable[["LineSource", Counter[str]], Iterator["Answer[Output]"]]


class AnswerFormat(Protocol):
    """A formatter of answers, with notices of what it left out."""

    def __call__(self, answer: "Answer[Output]") -> Iterable[str]:
        """Return the output lines of one answer."""
        ...

    def notices(self) -> list[str]:
        """Return the notices of all lines that were formatted."""
        ...


def filter_lines(
    files: Sequence[str] | None,
    options: LineIOOptions,
    run: AnswerLines,
    format_answer: AnswerFormat,
    *,
    whole_rows: bool = False,
) -> None:
    """Answer every line of files or stdin in order, then report repaired and failed lines.

    Failed lines are formatted by `format_answer` like the others; the exit code is 4 with --strict,
    and where no line has an answer. `whole_rows` says that rows of a TSV are lines unless a column
    is named.
    """
    from tokenizer import CorpusCounts

    from .line_progress import LineProgress, input_share, shows_progress
    from .line_reader import LineReader

    counts, reported, answered = Counter[str](), False, False
    names, read = files or ["-"], CorpusCounts()
    typed = is_typed(names) and not (options.column or options.json_input)
    reader: Iterable[Line] = LineReader(
        names,
        read,
        column=options.column,
        plain=options.plain,
        as_json=options.json_input,
        whole_rows=whole_rows,
    )
    progress = LineProgress(
        enabled=shows_progress(options.quiet, options.out, names), share=input_share(names, read)
    )
    with (
        output(options.out, reading=names) as writer,
        progress,
        line_source(reader, progress, read, typed=typed, quiet=options.quiet) as source,
    ):
        for answer in progress.counting(run(source, counts)):
            if answer.error is not None and (typed or not reported):
                reported = True
                print_notice(f"line {answer.line.number + 1:,}: {answer.error}")
            answered = answered or bool(answer.outputs)
            for line in format_answer(answer):
                writer.line(line)
    for notice in format_answer.notices():
        read.notice(notice)
    strict = options.strict or not answered
    report(counts, quiet=options.quiet, strict=strict, read=read)


@contextmanager
def line_source(
    lines: "Iterable[Line]",
    progress: "LineProgress",
    read: "CorpusCounts",
    *,
    typed: bool,
    quiet: bool,
) -> "Iterator[LineSource]":
    """Give a source of lines that are read ahead; of `typed` ones, as they are asked for."""
    from transformer.pipelines.read_ahead import ReadAhead

    from .line_reader import TypedSource, typed_lines

    if typed:
        yield TypedSource(typed_lines(read, None if quiet else HINT))
        return
    with ReadAhead(progress.reading(lines)) as source:
        yield source


def report(
    counts: Counter[str],
    *,
    quiet: bool,
    strict: bool = False,
    read: "CorpusCounts | None" = None,
) -> None:
    """Report what happened to files that were read, and the number of lines for each notice.

    `quiet` leaves out how many drafts were accepted, by which nothing is lost. With `strict`, exit
    with code 4 if any line has no answer, or one that breaks a promise.
    """
    from transformer.pipelines.notices import BROKEN, count_lines, draft_notices

    files = [] if read is None else read.notices
    summary = [] if quiet else draft_notices(counts)
    for notice in [*files, *count_lines(counts), *summary]:
        print_notice(notice)
    if strict and any(counts[name] for name in BROKEN):
        raise typer.Exit(BAD_DATA)


def reading_counts(corpus: "CorpusCounts") -> Counter[str]:
    """Return what happened to lines in reading them, for readers that make no records of lines."""
    return Counter(invalid_utf8=corpus.replaced, shortened=corpus.shortened)
