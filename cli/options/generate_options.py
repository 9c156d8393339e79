"""The options of `transduce generate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .common import LineIOOptions, Scores
from .decoding import DecodingOptions
from .groups import option_field
from .search_methods import beam_option, sampling_option
from .text_constraints import text_option

if TYPE_CHECKING:
    from transformer.decoding.constraints.grammar import Grammar
    from transformer.loading import LoadedModel
    from transformer.pipelines import GenerationOptions

MAX_TOKENS = 256  # by default
TEMPERATURE = 0.8  # by default, where neither beams nor contrastive search are asked for


@dataclass(kw_only=True)
class GenerateDecodingOptions(DecodingOptions):
    """Decoding options, with the defaults of generating."""

    beam: int | None = beam_option(
        None,
        "--beam N",
        "Beam search with N beams (up to 1000). 1: greedy search, or sampling if an option "
        "of sampling is given. Default: sampling.",
        min=1,
    )
    temperature: float | None = sampling_option(
        None,
        "-t --temperature X",
        "Sample with logits divided by X (0.001 to 1000): below 1, likely tokens gain. 0: "
        f"greedy search. Default: {TEMPERATURE}.",
        min=0.0,
    )
    max_tokens: int | None = text_option(
        None,
        "-n --max-tokens N",
        f"Tokens to write at most, as far as the context has room. Default: {MAX_TOKENS}.",
        min=1,
    )


@dataclass(kw_only=True)
class GenerateOptions:
    """Options of the prompts, and of showing what is written after them."""

    prompt_file: Path | None = option_field(
        None, "-f --file FILE", "File whose text follows PROMPT; with --lines, the file of prompts."
    )
    lines: bool = option_field(
        False,
        "--lines",
        "Take each line of --file or stdin for a prompt, and write one line for each: "
        "its continuation alone.",
    )
    chat: bool = option_field(
        False,
        "--chat",
        "Answer the prompt as a message, by the model's chat template; without one, the "
        "messages typed at the terminal.",
    )
    system: str | None = option_field(
        None, "--system TEXT", "System message before the others; needs --chat."
    )
    overflow: str = option_field(
        "error",
        "--overflow NAME",
        "For a prompt longer than the context: refuse it (error), drop its beginning "
        "(left), or do so again whenever the context is full (slide, for one text at a time).",
    )
    no_prompt: bool = option_field(
        False,
        "--no-prompt",
        "Write the continuation without the prompt before it, as --lines and --chat do.",
    )
    scores: Scores = False
    as_json: bool = option_field(
        False,
        "--json",
        "Write a JSON object for each prompt: prompt, text, score, tokens, token_scores, "
        "finish_reason and, with --n-best, n_best.",
    )
    batch_tokens: int = option_field(
        4096,
        "--batch-tokens N",
        "With --lines, most tokens of a batch: those of prompts and of --max-tokens, for "
        "each beam or sample, with padding.",
        min=1,
    )

    def check(
        self, prompt: str | None, decoding: DecodingOptions, line_io: LineIOOptions, search: str
    ) -> None:
        """Raise ConfigError for options that contradict each other or would have no effect."""
        from transformer.errors import ConfigError

        if self.lines and (self.chat or prompt is not None):
            raise ConfigError(
                "--lines reads prompts from stdin or --file; it takes no PROMPT, no --chat"
            )
        for_lines = {
            "--json-input": line_io.json_input,
            "--column": line_io.column,
            "--strict": line_io.strict,
        }
        unused = [name for name, value in for_lines.items() if value and not self.lines]
        if unused:
            raise ConfigError(f"{', '.join(unused)}: only with --lines")
        if self.system is not None and not self.chat:
            raise ConfigError("--system needs --chat")
        complete = search == "beam" or decoding.n_best > 1 or self.as_json or self.scores
        if self.chat and complete:
            raise ConfigError(
                "--chat shows one answer as it is written; it takes no --beam, --n-best, --mbr, "
                "--json or --scores"
            )

    def generation_options(
        self,
        loaded: "LoadedModel",
        decoding: DecodingOptions,
        *,
        search: str,
        grammar: "Grammar | None",
        continuing: bool,
    ) -> "GenerationOptions":
        """Return the options of continuing prompts. Raises ConfigError."""
        from transformer.pipelines import GenerationOptions
        from transformer.pipelines.search_settings import grammar_constraint

        return GenerationOptions(
            search=search,
            options=decoding.search_options(
                loaded,
                search=search,
                default_beams=1,
                temperature=TEMPERATURE,
                continuing=continuing,
            ),
            max_tokens=decoding.max_tokens or MAX_TOKENS,
            min_tokens=decoding.min_tokens,
            overflow=self.overflow,
            stop=decoding.stop or (),
            required_phrases=decoding.must or (),
            mbr=decoding.mbr is not None,
            constraint=None
            if grammar is None
            else grammar_constraint(grammar, loaded, continuing=continuing),
            batch_tokens=self.batch_tokens,
            allow_empty_prompt=not self.lines,
        )
