"""`transduce generate`: prompts in, their continuations out."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.pipelines.arguments import GenerateArguments, SpeculationArguments
from transformer.pipelines.arguments.search import MAX_SEED

from ..console import print_notice
from ..io.filter import filter_lines, report
from ..io.outputs import Writer, is_seen, output
from ..io.streams import piped_text
from ..io.typed_text import is_typed
from ..options import common as opt
from ..options.answers import PromptOptions
from ..options.groups import grouped

if TYPE_CHECKING:
    from transformer.loading import LoadedModel
    from transformer.pipelines.records import Line
    from transformer.pipelines.session import Session

    from ..render.answers import AnswerFormatter


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
    arguments: GenerateArguments,
    prompts: PromptOptions,
    speculation: SpeculationArguments,
    line_io: opt.LineIOOptions,
) -> None:
    """Continue a prompt, by sampling unless options say otherwise.

    The text is shown while it is written. In float32 on a CPU the same prompt,
    seed and line number give the same text in any batch; in bfloat16 and on a
    GPU, rounding may decide between two tokens that are almost equally likely.
    """
    from tokenizer import CorpusCounts

    from ..io.line_reader import typed_lines
    from ..io.loading import open_session
    from ..render.answers import AnswerFormatter

    prompts.check(prompt, arguments, line_io)
    if prompt is not None and os.path.isfile(prompt):  # noqa: PTH113 (of any length)
        print_notice(f"{prompt} is a file, whose name is the prompt: --file reads its text")
    line = None if prompts.lines else _prompt_line(prompt, prompts.prompt_file)
    typed = prompt is None and prompts.prompt_file is None and is_typed(["-"])
    reading = ["-"] if prompts.prompt_file is None else [str(prompts.prompt_file)]
    session = open_session(
        model, line_io, speculation, arguments, reading=reading, records=prompts.lines
    )
    counts = Counter[str]()
    show = AnswerFormatter(
        session.lead,
        n_best=arguments.n_best,
        as_json=prompts.as_json,
        scores=prompts.scores,
        text_field="prompt",
        with_text_field=not prompts.no_prompt,
        with_prompt=not (prompts.no_prompt or prompts.lines),
        single_line=prompts.lines,
        seed=arguments.drawn_seed,
        apart=is_seen(line_io.out),
    )
    if line is None:
        filter_lines(
            reading,
            line_io,
            lambda source, notes: session.generate(source, arguments, notes),
            show,
        )
        return
    if prompts.chat:
        from ..io.conversation import run_chat

        run_chat(session, line, arguments, counts, system=prompts.system, out=line_io.out)
    else:
        hint = None if line_io.quiet else "type prompts; Ctrl-D ends"
        lines = typed_lines(CorpusCounts(), hint) if typed else iter([line])
        with output(line_io.out) as writer:
            for each in lines:
                with _telling_errors() if typed else nullcontext():
                    _continue_prompt(session, each, arguments, counts, show=show, writer=writer)
        if arguments.grammar is None and not prompts.as_json:
            del (
                counts["unfinished"],
                counts["context_full"],
            )  # a continuation ends somewhere; no promise is broken
    report(counts, quiet=line_io.quiet, strict=line_io.strict)


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


@contextmanager
def _telling_errors() -> Iterator[None]:
    """Print the error of a prompt that cannot be continued; another may be typed."""
    from transformer.errors import PromptError

    try:
        yield
    except PromptError as error:
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
    from transformer.pipelines.notices import count_notices
    from transformer.pipelines.records import IterableSource

    if arguments.max_tokens is not None and arguments.overflow == "error":
        _report_remaining_context(session.lead, line.text, arguments)
    if show.needs_finished_answers or not arguments.can_stream:
        source = IterableSource([line])
        (answer,) = session.generate(source, arguments, counts, allow_empty=True)
        if answer.error is not None:
            raise PromptError(answer.error)
        for text in show(answer):
            writer.line(text)
        return
    if line.number and arguments.seed is not None:  # a prompt that is typed again has another text
        seed = (arguments.seed + line.number) % (MAX_SEED + 1)
        arguments = replace(arguments, seed=seed)
    count_notices(line.notices, counts)
    pieces = session.stream(line.text, arguments, counts)
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
        parts.append(decode_line(os.fsencode(prompt), read))
    if file is not None:
        parts.append(read_text(str(file), read))
    if piped := piped_text(read):
        parts.append(piped)
    text = "\n".join(part.removesuffix("\n") for part in parts)
    return Line(0, text, notices=that_happened(invalid_utf8=read.replaced > 0))
