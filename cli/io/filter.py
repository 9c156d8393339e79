"""The filter that commands share: lines in, answers out, in order."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from ..console import print_notice
from ..errors import BAD_DATA
from ..options.common import LineIOOptions
from .outputs import output
from .typed_text import HINT

if TYPE_CHECKING:
    from tokenizer import CorpusCounts
    from transformer.pipelines.records import Answer, LineSource

    from .line_progress import LineProgress
    from .line_reader import LineReader


# Answers lines in order, and counts events such as failed lines by name.
AnswerLines = Callable[["LineSource", Counter[str]], Iterator["Answer[Any]"]]


class AnswerFormat(Protocol):
    """A formatter of answers, with notices of what it left out."""

    def __call__(self, answer: "Answer[Any]") -> Iterable[str]:
        """Return the output lines of one answer."""
        ...

    def notices(self) -> list[str]:
        """Return the notices of all lines that were formatted."""
        ...


def filter_lines(
    reader: "LineReader",
    options: LineIOOptions,
    run: AnswerLines,
    format_answer: AnswerFormat,
    *,
    hint: str = HINT,
    tabs: bool = False,
) -> None:
    """Answer every line of a reader in order, then report repaired and failed lines.

    Failed lines are formatted by `format_answer` like the others; the exit code is 4 with --strict,
    and where no line has an answer. `hint` and `tabs` are of typed lines: see `typed_texts`.
    """
    counts, answered = Counter[str](), False
    with (
        reporting_early_end(counts, reader.counts, format_answer.notices),
        output(options.out, reading=reader.paths) as writer,
        filter_progress(reader, options.out, quiet=options.quiet) as progress,
        line_source(reader, progress, hint=None if options.quiet else hint, tabs=tabs) as source,
    ):
        answers = _with_errors_told(run(source, counts), every=reader.is_typed)
        for answer in progress.counting(answers):
            answered = answered or bool(answer.outputs)
            for line in format_answer(answer):
                writer.line(line)
    for notice in format_answer.notices():
        reader.counts.notice(notice)
    strict = options.strict or not answered
    report(counts, quiet=options.quiet, strict=strict, read=reader.counts)


def filter_progress(reader: "LineReader", out: Path | None, *, quiet: bool) -> "LineProgress":
    """Return the progress of a filter, which shows itself where it disturbs nothing."""
    from .line_progress import LineProgress, input_share, line_progress_enabled

    enabled = line_progress_enabled(quiet, out, reader.paths)
    return LineProgress(enabled=enabled, share=input_share(reader.paths, reader.counts))


@contextmanager
def line_source(
    reader: "LineReader", progress: "LineProgress", *, hint: str | None, tabs: bool = False
) -> "Iterator[LineSource]":
    """Give a source of lines that are read ahead; of typed ones, as they are asked for.

    A KeyboardInterrupt says how many lines were answered. For `hint` and `tabs` see `typed_texts`.
    """
    from transformer.pipelines.read_ahead import ReadAhead

    from .line_reader import TypedSource, typed_lines

    if reader.is_typed:
        yield TypedSource(typed_lines(reader.counts, hint, tabs=tabs))
        return
    with ReadAhead(progress.reading(reader)) as source:
        try:
            yield source
        except KeyboardInterrupt as error:
            were = "line was" if progress.lines == 1 else "lines were"
            error.add_note(f"{progress.lines:,} {were} answered")
            raise


def _with_errors_told(answers: "Iterator[Answer[Any]]", *, every: bool) -> "Iterator[Answer[Any]]":
    """Yield answers; tell the first error among them, or each."""
    told = False
    for answer in answers:
        if answer.error is not None and (every or not told):
            told = True
            print_notice(f"line {answer.line.number + 1:,}: {answer.error}")
        yield answer


@contextmanager
def reporting_early_end(
    counts: Counter[str],
    read: "CorpusCounts | None" = None,
    notices: Callable[[], list[str]] = list,
) -> Iterator[None]:
    """Report what happened to lines that were answered before an error or Ctrl-C.

    With it come the notices of files, and `notices`, of what was written. A reader that has closed
    the pipe, as `head` does, wants nothing more.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except BaseException:
        report(counts, quiet=True, read=read)
        for notice in notices():
            print_notice(notice)
        raise


def report(
    counts: Counter[str],
    *,
    quiet: bool,
    strict: bool = False,
    read: "CorpusCounts | None" = None,
    with_options: bool = True,
) -> None:
    """Report what happened to files that were read, and the number of lines for each notice.

    `quiet` leaves out how many drafts were accepted, by which nothing is lost. With `strict`, exit
    with code 4 if any line has no answer, or one that breaks a promise. `with_options` says that
    the command has the options that notices name.
    """
    from transformer.pipelines.notices import BROKEN, count_lines, draft_notices

    files = [] if read is None else read.notices
    summary = [] if quiet else draft_notices(counts)
    told = count_lines(counts, with_options=with_options)
    for notice in [*files, *told, *summary]:
        print_notice(notice)
    if strict and any(counts[name] for name in BROKEN):
        raise typer.Exit(BAD_DATA)


def reading_counts(corpus: "CorpusCounts") -> Counter[str]:
    """Return what happened to lines in reading them, for readers that make no records of lines."""
    return Counter(invalid_utf8=corpus.replaced, shortened=corpus.shortened)
