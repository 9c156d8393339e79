"""`transduce generate`: prompts in, their continuations out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import print_notice
from ..io.filter import filter_lines
from ..io.streams import output, piped_text
from ..options import common as opt
from ..options.generate_options import TEMPERATURE, GenerateDecodingOptions, GenerateOptions
from ..options.groups import grouped
from ..options.speculation import SpeculationOptions

if TYPE_CHECKING:
    from transformer.decoding import Engine
    from transformer.loading import LoadedModel
    from transformer.pipelines import GenerationOptions

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
    generation: GenerateOptions,
    decoding: GenerateDecodingOptions,
    speculation: SpeculationOptions,
    line_io: opt.LineIOOptions,
) -> None:
    """Continue a prompt, by sampling unless options say otherwise.

    The text is shown while it is written. In float32 on a CPU the same prompt,
    seed and line number give the same text in any batch; in bfloat16 and on a
    GPU, rounding may decide between two tokens that are almost equally likely.
    """
    from transformer.pipelines.engines import build_engines

    from ..io.loading import load_for_lines
    from ..io.speculation import report_speculation
    from ..options.grammar import chosen_grammar
    from ..render.answers import AnswerFormatter

    n_best, lines = decoding.n_best, generation.lines
    decoding = decoding.with_mbr_samples()
    search = decoding.search_name(default_temperature=TEMPERATURE)
    generation.check(prompt, decoding, line_io, search)
    grammar = chosen_grammar(decoding)
    text = "" if lines else _prompt_text(prompt, generation.prompt_file)
    models = [load_for_lines(path, line_io) for path in model]
    options = generation.generation_options(
        models[0], decoding, search=search, grammar=grammar, continuing=bool(text) or lines
    )
    lead, engines = build_engines(models, search, options.options, speculation.speculation())
    show = AnswerFormatter(
        lead,
        n_best=n_best,
        as_json=generation.as_json,
        scores=generation.scores,
        text_field="prompt",
        with_prompt=not (generation.no_prompt or lines),
        single_line=lines,
    )
    if lines:
        file = generation.prompt_file
        files = None if file is None else [str(file)]
        _continue_lines(lead, files, options, engines, show, line_io=line_io)
    elif generation.chat:
        from ..io.conversation import run_chat

        run_chat(lead, text, options, engines[0], system=generation.system, out=line_io.out)
    else:
        if decoding.max_tokens is not None and generation.overflow == "error":
            _report_remaining_context(lead, text, decoding.max_tokens, quiet=line_io.quiet)
        _continue_prompt(lead, text, options, engines[0], show, out=line_io.out)
    report_speculation(engines, quiet=line_io.quiet)


def _continue_lines(
    loaded: "LoadedModel",
    files: list[str] | None,
    options: "GenerationOptions",
    engines: "list[Engine]",
    show: "AnswerFormatter",
    *,
    line_io: opt.LineIOOptions,
) -> None:
    """Continue each line, as a prompt of its own."""
    from transformer.pipelines import generate as continue_lines

    filter_lines(
        files,
        line_io,
        lambda source, counts: continue_lines(
            loaded, source, options, engines=engines, counts=counts
        ),
        show,
    )


def _report_remaining_context(
    loaded: "LoadedModel", text: str, max_tokens: int, *, quiet: bool
) -> None:
    """Say where the context has room for fewer tokens than --max-tokens."""
    from transformer.pipelines import encode_prompt

    room = loaded.config.max_positions - len(encode_prompt(loaded, text))
    if not quiet and max_tokens > room > 0:
        print_notice(
            f"the model's context leaves room for {room:,} tokens of the {max_tokens:,} asked for"
        )


def _continue_prompt(
    loaded: "LoadedModel",
    text: str,
    options: "GenerationOptions",
    engine: "Engine",
    show: "AnswerFormatter",
    *,
    out: Path | None,
) -> None:
    """Continue one prompt: piece by piece, or at once where only the finished text can be shown."""
    from transformer.errors import PromptError
    from transformer.pipelines import IterableSource, stream_text
    from transformer.pipelines import generate as continue_lines

    with output(out) as writer:
        if show.needs_finished_answers or options.search == "beam" or options.options.n_best > 1:
            (answer,) = continue_lines(loaded, IterableSource([text]), options, engines=[engine])
            if answer.error is not None:
                raise PromptError(answer.error)
            for line in show(answer):
                writer.line(line)
            return
        pieces = stream_text(loaded, text, options, engine=engine)
        first = next(pieces, "")  # errors come before anything is shown
        writer.piece(f"{text if show.with_prompt else ''}{first}")
        for piece in pieces:
            writer.piece(piece)
        writer.line("")


def _prompt_text(prompt: str | None, file: Path | None) -> str:
    """Return the argument, the file's text and piped text, each on a line of its own.

    The line ends that `echo` and editors add are left out.
    """
    argument = None if prompt is None else prompt.encode("utf-8", "surrogateescape")
    contents = None if file is None else file.read_bytes()
    parts = [raw.decode("utf-8", "replace") for raw in (argument, contents) if raw is not None]
    piped = piped_text()
    return "\n".join(part.removesuffix("\n") for part in [*parts, *filter(None, [piped])])
