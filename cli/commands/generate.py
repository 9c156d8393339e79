"""`transduce generate`: prompts in, their continuations out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import say
from ..io.filter import filter_lines
from ..io.streams import output, piped_text
from ..options import common as opt
from ..options.decoding import DecodingOptions
from ..options.groups import grouped
from ..options.speculation import SpeculationOptions

if TYPE_CHECKING:
    from transformer.decoding import Engine
    from transformer.decoding.constraints.grammar import Grammar
    from transformer.loading import LoadedModel
    from transformer.pipelines import GenerationOptions

    from ..render.answers import AnswerFormatter

_MAX_TOKENS = 256
_TEMPERATURE = 0.8  # unless another is asked for, or beams


@dataclass(kw_only=True)
class GenerateOptions:
    """What can be asked of a continuation, beside what can be asked of any text."""

    prompt_file: Annotated[
        Path | None, typer.Option("-f", "--file", help="A file whose text joins the prompt.")
    ] = None
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line is a prompt: n lines in, n lines out.")
    ] = False
    chat: Annotated[
        bool, typer.Option("--chat", help="The prompt is a message; at a terminal, talk.")
    ] = False
    system: Annotated[
        str | None, typer.Option("--system", help="With --chat: what the model is told first.")
    ] = None
    overflow: Annotated[
        str,
        typer.Option(
            help="A prompt longer than the context: error; left: its end is kept; slide: and "
            "writing goes on when the context is full."
        ),
    ] = "error"
    no_prompt: Annotated[bool, typer.Option("--no-prompt", help="Show the continuation alone.")] = (
        False
    )
    scores: opt.Scores = False

    def check(
        self,
        prompt: str | None,
        decoding: DecodingOptions,
        filtering: opt.LineIOOptions,
        *,
        search: str,
    ) -> None:
        """Raise ConfigError for options that contradict each other or would be idle."""
        from transformer.errors import ConfigError

        if self.lines and (self.chat or prompt is not None):
            raise ConfigError(
                "--lines reads prompts from stdin or --file; it takes no PROMPT, no --chat"
            )
        of_lines = {
            "--json-input": filtering.json_input,
            "--column": filtering.column,
            "--strict": filtering.strict,
        }
        idle = [name for name, value in of_lines.items() if value and not self.lines]
        if idle:
            raise ConfigError(f"{', '.join(idle)}: of lines, which --lines makes of the input")
        if self.system is not None and not self.chat:
            raise ConfigError("--system is for --chat")
        whole = search == "beam" or decoding.n_best > 1 or filtering.as_json or self.scores
        if self.chat and whole:
            raise ConfigError(
                "--chat shows one answer as it is written; it takes no --beam, --n-best, --json "
                "or --scores"
            )

    def ask(
        self,
        loaded: "LoadedModel",
        decoding: DecodingOptions,
        *,
        search: str,
        rule: "Grammar | None",
        continuing: bool,
        budget: int,
    ) -> "GenerationOptions":
        """All that is asked of continuations. Raises ConfigError."""
        from transformer.pipelines import GenerationOptions
        from transformer.pipelines.search_settings import grammar_constraint

        return GenerationOptions(
            search=search,
            options=decoding.options(
                loaded, search=search, usual=1, temperature=_TEMPERATURE, continuing=continuing
            ),
            max_tokens=decoding.max_tokens or _MAX_TOKENS,
            min_tokens=decoding.min_tokens,
            overflow=self.overflow,
            stop=decoding.stop or (),
            required_phrases=decoding.must or (),
            mbr=decoding.mbr is not None,
            constraint=None
            if rule is None
            else grammar_constraint(rule, loaded, continuing=continuing),
            batch_tokens=budget,
            allow_empty_prompt=not self.lines,
        )


@grouped
def generate(
    prompt: Annotated[
        str | None, typer.Argument(help="What to continue; piped text joins.")
    ] = None,
    *,
    model: opt.Models,
    continuing: GenerateOptions,
    decoding: DecodingOptions,
    drafting: SpeculationOptions,
    filtering: opt.LineIOOptions,
) -> None:
    """Continue a prompt, shown as it is written: sampled at temperature 0.8 unless you say.

    In float32 on a CPU the same prompt, seed and line number give the same text in any batch; in
    bfloat16 and on GPUs two tokens that are almost equally likely may take each other's place.
    """
    from transformer.pipelines.engines import build_engines

    from ..io.loading import load_for_lines
    from ..io.speculation import report_speculation
    from ..options.grammar import chosen_grammar
    from ..render.answers import AnswerFormatter

    n_best, lines = decoding.n_best, continuing.lines
    decoding = decoding.with_samples()
    search = decoding.choose(usual_temperature=_TEMPERATURE)
    continuing.check(prompt, decoding, filtering, search=search)
    rule = chosen_grammar(decoding)
    text = "" if lines else _text(prompt, continuing.prompt_file)
    models = [load_for_lines(path, filtering) for path in model]
    asked = continuing.ask(
        models[0],
        decoding,
        search=search,
        rule=rule,
        continuing=bool(text) or lines,
        budget=filtering.batch_tokens,
    )
    lead, engines = build_engines(models, search, asked.options, drafting.speculation())
    show = AnswerFormatter(
        lead,
        n_best=n_best,
        as_json=filtering.as_json,
        scores=continuing.scores,
        asked="prompt",
        with_prompt=not (continuing.no_prompt or lines),
        lines=lines,
    )
    if lines:
        file = continuing.prompt_file
        files = None if file is None else [str(file)]
        _continue_lines(lead, files, asked, engines, show, filtering=filtering)
    elif continuing.chat:
        from ..io.conversation import talk

        talk(lead, text, asked, engines[0], system=continuing.system, out=filtering.out)
    else:
        if decoding.max_tokens is not None and continuing.overflow == "error":
            _tell_room(lead, text, decoding.max_tokens, quiet=filtering.quiet)
        _continue(lead, text, asked, engines[0], show, out=filtering.out)
    report_speculation(engines, quiet=filtering.quiet)


def _continue_lines(
    loaded: "LoadedModel",
    files: list[str] | None,
    asked: "GenerationOptions",
    engines: "list[Engine]",
    show: "AnswerFormatter",
    *,
    filtering: opt.LineIOOptions,
) -> None:
    """Each line is a prompt."""
    from transformer.pipelines import generate as continue_lines

    filter_lines(
        files,
        filtering,
        lambda source, counts: continue_lines(
            loaded, source, asked, engines=engines, counts=counts
        ),
        show,
    )


def _tell_room(loaded: "LoadedModel", text: str, wanted: int, *, quiet: bool) -> None:
    """Say where the context has less room than was asked for."""
    from transformer.pipelines import encode_prompt

    room = loaded.config.max_positions - len(encode_prompt(loaded, text))
    if not quiet and wanted > room > 0:
        say(f"the model's context leaves room for {room:,} tokens of the {wanted:,} asked for")


def _continue(
    loaded: "LoadedModel",
    text: str,
    asked: "GenerationOptions",
    engine: "Engine",
    show: "AnswerFormatter",
    *,
    out: Path | None,
) -> None:
    """One prompt: shown as it is written, or once it is finished where that cannot be."""
    from transformer.errors import PromptError
    from transformer.pipelines import IterableSource, stream_text
    from transformer.pipelines import generate as continue_lines

    with output(out) as writer:
        if show.whole or asked.search == "beam" or asked.options.n_best > 1:
            (answer,) = continue_lines(loaded, IterableSource([text]), asked, engines=[engine])
            if answer.error is not None:
                raise PromptError(answer.error)
            for line in show(answer):
                writer.line(line)
            return
        pieces = stream_text(loaded, text, asked, engine=engine)
        first = next(pieces, "")  # errors come before anything is shown
        writer.piece(f"{text if show.with_prompt else ''}{first}")
        for piece in pieces:
            writer.piece(piece)
        writer.line("")


def _text(prompt: str | None, file: Path | None) -> str:
    """The argument, the file's text and what is piped in, each on a line of its own, less the line
    ends that `echo` and editors add."""
    given = None if prompt is None else prompt.encode("utf-8", "surrogateescape")
    read = None if file is None else file.read_bytes()
    parts = [raw.decode("utf-8", "replace") for raw in (given, read) if raw is not None]
    piped = piped_text()
    return "\n".join(part.removesuffix("\n") for part in [*parts, *filter(None, [piped])])
