"""The options that say how long texts may be, what they must hold and what they must not."""

from dataclasses import dataclass
from typing import Annotated

from .groups import option

_PANEL = "Length, repetition and content"
_GRAMMAR = 'Only one of --regex, --choice, --json-schema; they need the extra "constrained".'


def max_tokens_option(text: str) -> object:
    """Return --max-tokens, whose default is the command's to say."""
    return option("-n", "--max-tokens", min=1, metavar="N", panel=_PANEL, help=text)


@dataclass(kw_only=True)
class TextConstraintOptions:
    """Options of what may be written. None: the model's own setting, or none."""

    max_tokens: int | None = None
    min_tokens: Annotated[
        int,
        option(
            "--min-tokens",
            min=0,
            metavar="N",
            panel=_PANEL,
            help="Tokens to write before the end token is allowed; --stop may end a text sooner.",
        ),
    ] = 0
    repetition_penalty: Annotated[
        float | None,
        option(
            "--repetition-penalty",
            metavar="X",
            panel=_PANEL,
            help="Above 1, tokens of the text so far and its prompt become less likely; below 1 "
            "(but above 0), likelier. Default: the model's own, or 1.",
        ),
    ] = None
    presence_penalty: Annotated[
        float | None,
        option(
            "--presence-penalty",
            metavar="X",
            panel=_PANEL,
            help="Subtracted from the logits of tokens already written, the prompt's not counted; "
            "below 0 they become likelier.",
        ),
    ] = None
    frequency_penalty: Annotated[
        float | None,
        option(
            "--frequency-penalty",
            metavar="X",
            panel=_PANEL,
            help="Like --presence-penalty, but subtracted once for each time the token was "
            "written.",
        ),
    ] = None
    no_repeat_ngram: Annotated[
        int | None,
        option(
            "--no-repeat-ngram",
            min=1,
            metavar="N",
            panel=_PANEL,
            help="Never write N tokens in a row that are anywhere in the text or its prompt "
            "already. Default: the model's own, or no limit.",
        ),
    ] = None
    bad_word: Annotated[
        list[str] | None,
        option(
            "--bad-word",
            metavar="TEXT",
            panel=_PANEL,
            help="Never write the tokens of this word or phrase in a row; capitals count. May be "
            "repeated.",
        ),
    ] = None
    suppress: Annotated[
        list[str] | None,
        option(
            "--suppress",
            metavar="TOKEN",
            panel=_PANEL,
            help="Never write this token, named as tokenizer encode --pieces shows it. May be "
            "repeated.",
        ),
    ] = None
    bias: Annotated[
        list[str] | None,
        option(
            "--bias",
            metavar="TOKEN=X",
            panel=_PANEL,
            help="Add X to the logit of a token, named as for --suppress: dog=-2.5; dog=-inf "
            "forbids it. May be repeated.",
        ),
    ] = None
    stop: Annotated[
        list[str] | None,
        option(
            "--stop",
            metavar="TEXT",
            panel=_PANEL,
            help="End the text before this string. May be repeated: the first to come counts.",
        ),
    ] = None
    must: Annotated[
        list[str] | None,
        option(
            "--must",
            metavar="TEXT",
            panel=_PANEL,
            help="Word or phrase that the text must contain; needs beam search (--beam 2 or more). "
            "May be repeated.",
        ),
    ] = None
    regex: Annotated[
        str | None,
        option(
            "--regex",
            metavar="PATTERN",
            panel=_PANEL,
            help="Write a text that matches this regular expression from start to end, unless "
            f"--max-tokens cuts it off. {_GRAMMAR}",
        ),
    ] = None
    choice: Annotated[
        list[str] | None,
        option(
            "--choice",
            metavar="TEXT",
            panel=_PANEL,
            help="Write one of the texts that this option is repeated with.",
        ),
    ] = None
    json_schema: Annotated[
        str | None,
        option(
            "--json-schema",
            metavar="FILE",
            panel=_PANEL,
            help="Write JSON that fits the JSON schema in this file, or given here as text.",
        ),
    ] = None
