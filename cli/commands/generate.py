"""`transduce generate`: prompts in, their continuations out."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.pipelines.arguments import GenerateArguments, SpeculationArguments

from ..console import print_notice
from ..io.filter import filter_lines, report, reporting_early_end
from ..io.output_checks import output_is_terminal
from ..io.outputs import Writer, output
from ..io.streams import piped_text
from ..io.typed_text import is_typed, stopped_by_interrupt
from ..options import common as opt
from ..options.answers import PromptOptions
from ..options.groups import grouped

if TYPE_CHECKING:
    from transformer.loading import LoadedModel
    from transformer.pipelines.records import Line
    from transformer.pipelines.session import Session

    from ..render.answers import AnswerFormatter

_HINT = "type prompts; Ctrl-D ends"


@grouped
def generate(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROMPT]",
            help="Text to continue. The text of --file and piped text follow it, each on a line "
            "of its own.",
        ),
    ] = None,
    *,
    model: opt.Models,
    adapter: opt.Adapter = None,
    arguments: GenerateArguments,
    prompts: PromptOptions,
    speculation: SpeculationArguments,
    line_io: opt.LineIOOptions,
) -> None:
    """Continue a prompt, by sampling unless options say otherwise.

    The text is shown while it is written. On a CPU in float32 and float16 the
    same prompt, seed and line number give the same text in any batch, in int8
    up to 100 tokens; in bfloat16 and on a GPU, rounding may decide between two
    tokens that are almost equally likely.
    """
    from ..io.line_reader import LineReader
    from ..io.loading import open_session

    prompts.check(prompt, arguments, line_io)
    paths = ["-"] if prompts.prompt_file is None else [str(prompts.prompt_file)]
    if prompts.lines:
        reader = LineReader.from_options(paths, line_io)
        session = open_session(
            model, line_io, speculation, arguments, reading=reader, adapter=adapter
        )
        show = _formatter(session, arguments, prompts, line_io)
        filter_lines(
            reader,
            line_io,
            lambda source, counts: session.generate(source, arguments, counts),
            show,
            hint=_HINT,
        )
        return
    line = _prompt_line(prompt, prompts.prompt_file)
    session = open_session(model, line_io, speculation, arguments, reading=paths, adapter=adapter)
    counts, typed = Counter[str](), prompt is None and paths == ["-"] and is_typed(paths)
    with reporting_early_end(counts):
        if prompts.chat:
            from ..io.conversation import run_chat

            run_chat(session, line, arguments, counts, system=prompts.system, line_io=line_io)
        else:
            show = _formatter(session, arguments, prompts, line_io)
            only = None if typed else line
            try:
                _continue_prompts(session, only, arguments, counts, show=show, line_io=line_io)
            finally:
                if arguments.grammar is None and not prompts.as_json:
                    # a continuation ends somewhere; no promise is broken
                    del counts["unfinished"], counts["context_full"]
    report(counts, quiet=line_io.quiet, strict=line_io.strict)


def _formatter(
    session: "Session",
    arguments: GenerateArguments,
    prompts: PromptOptions,
    line_io: opt.LineIOOptions,
) -> "AnswerFormatter":
    """Return the formatter of the answers to prompts."""
    from ..render.answers import AnswerFormatter

    return AnswerFormatter(
        session.lead,
        n_best=arguments.n_best,
        as_json=prompts.as_json,
        scores=prompts.scores,
        text_field="prompt",
        with_text_field=not prompts.no_prompt,
        with_prompt=not (prompts.no_prompt or prompts.lines),
        single_line=prompts.lines,
        seed=arguments.drawn_seed,
        separate_groups=output_is_terminal(line_io.out),
    )


def _report_remaining_context(
    loaded: "LoadedModel", text: str, arguments: GenerateArguments
) -> None:
    """Say where the context has room for fewer tokens than --max-tokens, and what helps."""
    from transformer.pipelines.generation import encode_prompt

    room = loaded.config.max_positions - len(encode_prompt(loaded, text))
    max_tokens = arguments.max_tokens or 0
    if max_tokens > room > 0:
        more = ": --overflow slide writes on beyond it" if arguments.can_stream else ""
        print_notice(
            f"the model's context leaves room for {room:,} tokens of the {max_tokens:,} asked "
            f"for{more}"
        )


def _continue_prompts(
    session: "Session",
    line: "Line | None",
    arguments: GenerateArguments,
    counts: Counter[str],
    *,
    show: "AnswerFormatter",
    line_io: opt.LineIOOptions,
) -> None:
    """Continue one prompt; without one, those that are typed at the terminal."""
    from tokenizer import CorpusCounts

    from ..io.line_reader import typed_lines

    with output(line_io.out) as writer:
        if line is not None:
            _continue_prompt(session, line, arguments, counts, show=show, writer=writer)
            return
        for typed in typed_lines(CorpusCounts(), None if line_io.quiet else _HINT):
            with _errors_told(), stopped_by_interrupt(writer):
                _continue_prompt(session, typed, arguments, counts, show=show, writer=writer)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Print the error of a prompt that cannot be continued; another may be typed."""
    from transformer.errors import LineError

    try:
        yield
    except LineError as error:
        print_notice(str(error))


def _continue_prompt(
    session: "Session",
    line: "Line",
    arguments: GenerateArguments,
    counts: Counter[str],
    *,
    show: "AnswerFormatter",
    writer: Writer,
) -> None:
    """Continue one prompt: piece by piece, or at once where only the finished text can be shown."""
    from transformer.errors import PromptError
    from transformer.pipelines.notices import FAILED, count_notices
    from transformer.pipelines.records import IterableSource

    if arguments.max_tokens is not None and arguments.overflow == "error":
        _report_remaining_context(session.lead, line.text, arguments)
    if show.needs_finished_answers or not arguments.can_stream:
        source = IterableSource([line])
        (answer,) = session.generate(source, arguments, counts, allow_empty=True)
        if answer.error is not None:
            del counts[FAILED]  # the error itself tells it
            raise PromptError(answer.error)
        for text in show(answer):
            writer.line(text)
        return
    count_notices(line.notices, counts)
    with closing(session.stream(line.text, arguments, counts, number=line.number)) as pieces:
        first = next(pieces, "")  # errors come before anything is shown
        writer.piece(f"{line.text if show.with_prompt else ''}{first}")
        for piece in pieces:
            writer.piece(piece)
    writer.line("")


def _prompt_line(prompt: str | None, file: Path | None) -> "Line":
    """Return the argument, the file's text and piped text, each on a line of its own.

    The line ends that `echo` and editors add are left out.
    """
    from tokenizer import CorpusCounts, read_text
    from tokenizer.text.lines import decode_line
    from transformer.pipelines.notices import that_happened
    from transformer.pipelines.records import Line

    parts, read = [], CorpusCounts()
    if prompt is not None:
        if os.path.isfile(prompt):  # noqa: PTH113 (of any length)
            print_notice(f"{prompt} is a file, whose name is the prompt: --file reads its text")
        parts.append(decode_line(os.fsencode(prompt), read))
    if file is not None:
        parts.append(read_text(str(file), read))
    if piped := piped_text(read):
        parts.append(piped)
    text = "\n".join(part.removesuffix("\n") for part in parts)
    return Line(0, text, notices=that_happened(invalid_utf8=read.replaced > 0))
