"""The filter that commands share: lines in, answers out, in order."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from ..console import print_notice
from ..errors import BAD_DATA
from ..options.common import LineIOOptions
from .streams import output

if TYPE_CHECKING:
    from tokenizer import CorpusCounts
    from transformer.pipelines.records import Answer, LineSource, Output


# Answers lines in order, and counts events such as failed lines by name.
AnswerLines = Callable[["LineSource", Counter[str]], Iterator["Answer[Output]"]]


def filter_lines(
    files: Sequence[str] | None,
    options: LineIOOptions,
    run: AnswerLines,
    format_answer: Callable[["Answer[Output]"], Iterable[str]],
) -> None:
    """Answer every line of files or stdin in order, then report repaired and failed lines.

    Failed lines are formatted by `format_answer` like the others; with --strict they make the exit
    code 4.
    """
    from tokenizer import CorpusCounts
    from transformer.pipelines.read_ahead import ReadAhead

    from .line_reader import LineReader

    counts, notes, reported = CorpusCounts(), Counter[str](), False
    reader = LineReader(files or ["-"], counts, column=options.column, as_json=options.json_input)
    with output(options.out, reading=files) as writer, ReadAhead(reader) as source:
        for answer in run(source, notes):
            if answer.error is not None and not options.quiet and not reported:
                reported = True
                print_notice(f"line {answer.line.number + 1:,}: {answer.error}")
            for line in format_answer(answer):
                writer.line(line)
    report(counts, quiet=options.quiet, notes=notes)
    if options.strict and notes["failed"]:
        raise typer.Exit(BAD_DATA)


def report(corpus: "CorpusCounts", *, quiet: bool, notes: Counter[str] | None = None) -> None:
    """Report the counts of repaired input lines, and of failed or incomplete answers."""
    from transformer.pipelines.notices import draft_notices, notices

    if quiet:
        return
    if corpus.replaced:
        print_notice(f"lines with invalid UTF-8, read as U+FFFD: {corpus.replaced:,}")
    counts = Counter(shortened=corpus.shortened)
    counts.update(notes or {})
    for notice in [*notices(counts), *draft_notices(counts)]:
        print_notice(notice)
