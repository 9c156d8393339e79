"""The options of prompts, and of showing answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .common import LineIOOptions, Scores
from .groups import option_field

if TYPE_CHECKING:
    from transformer.pipelines.arguments import GenerateArguments


@dataclass(kw_only=True)
class TranslationOutputOptions:
    """Options of showing translations."""

    scores: Scores = False
    alignments: bool = option_field(
        False,
        "--alignments",
        "Write a tab and word alignments after each translation: i-j for source word i "
        "and word j, from 0. Not with --split.",
        panel="Output",
    )
    as_json: bool = option_field(
        False,
        "--json",
        "Write a JSON object for each line: source, text, score, tokens, token_scores, "
        "finish_reason and, with --n-best, n_best; notices, where something happened to it.",
        panel="Output",
    )


@dataclass(kw_only=True)
class PromptOptions:
    """Options of the prompts, and of showing what is generated after them."""

    prompt_file: Path | None = option_field(
        None,
        "-f --file FILE",
        "File whose text follows PROMPT; with --lines, the file of prompts.",
        panel="Input",
    )
    lines: bool = option_field(
        False,
        "--lines",
        "Take each line of --file or stdin for a prompt, and write one line for each: "
        "its continuation alone.",
        panel="Input",
    )
    chat: bool = option_field(
        False,
        "--chat",
        "Answer the prompt as a message, by the model's chat template; without one, the "
        "messages typed at the terminal.",
        panel="Input",
    )
    system: str | None = option_field(
        None,
        "--system TEXT",
        "System message before the others; needs --chat.",
        panel="Input",
    )
    no_prompt: bool = option_field(
        False,
        "--no-prompt",
        "Write the continuation without the prompt before it, as --lines and --chat do; with "
        "--json, without the field prompt.",
        panel="Output",
    )
    scores: Scores = False
    as_json: bool = option_field(
        False,
        "--json",
        "Write a JSON object for each prompt: prompt, text, score, tokens, token_scores, "
        "finish_reason, the seed of sampling and, with --n-best, n_best; notices, where something "
        "happened to it.",
        panel="Output",
    )

    def check(
        self, prompt: str | None, arguments: "GenerateArguments", line_io: LineIOOptions
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
            "--plain": line_io.plain,
            "--batch-tokens": arguments.batch_tokens != type(arguments).batch_tokens,
        }
        unused = [name for name, value in for_lines.items() if value and not self.lines]
        if unused:
            raise ConfigError(f"{', '.join(unused)}: only with --lines")
        if self.system is not None and not self.chat:
            raise ConfigError("--system needs --chat")
        complete = arguments.requested_search == "beam" or arguments.num_hypotheses > 1
        if self.chat and (complete or self.as_json or self.scores):
            raise ConfigError(
                "--chat shows one answer as it is written; it takes no --beam, --n-best, --mbr, "
                "--json or --scores"
            )
