"""The options that say how long texts may be, what they must hold and what they must not."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from .groups import option

text_option = partial(option, panel="Length, repetition and content")
_GRAMMAR = 'Only one of --regex, --choice, --json-schema; they need the extra "constrained".'


@dataclass(kw_only=True)
class TextConstraintOptions:
    """Options of what may be written. None: the model's own setting, or none."""

    max_tokens: int | None = None  # an option of each command, whose default differs
    min_tokens: Annotated[
        int,
        text_option(
            "--min-tokens N",
            "Tokens to write before the end token is allowed; --stop may end a text sooner.",
            min=0,
        ),
    ] = 0
    repetition_penalty: Annotated[
        float | None,
        text_option(
            "--repetition-penalty X",
            "Above 1, tokens of the text so far and its prompt become less likely; below 1 "
            "(but above 0), likelier. Default: the model's own, or 1.",
        ),
    ] = None
    presence_penalty: Annotated[
        float | None,
        text_option(
            "--presence-penalty X",
            "Subtracted from the logits of tokens already written, the prompt's not counted; "
            "below 0 they become likelier.",
        ),
    ] = None
    frequency_penalty: Annotated[
        float | None,
        text_option(
            "--frequency-penalty X",
            "Like --presence-penalty, but subtracted once for each time the token was written.",
        ),
    ] = None
    no_repeat_ngram: Annotated[
        int | None,
        text_option(
            "--no-repeat-ngram N",
            "Never write N tokens in a row that are anywhere in the text or its prompt "
            "already. Default: the model's own, or no limit.",
            min=1,
        ),
    ] = None
    bad_word: Annotated[
        list[str] | None,
        text_option(
            "--bad-word TEXT",
            "Never write the tokens of this word or phrase in a row; capitals count. May be "
            "repeated.",
        ),
    ] = None
    suppress: Annotated[
        list[str] | None,
        text_option(
            "--suppress TOKEN",
            "Never write this token, named as tokenizer encode --pieces shows it. May be repeated.",
        ),
    ] = None
    bias: Annotated[
        list[str] | None,
        text_option(
            "--bias TOKEN=X",
            "Add X to the logit of a token, named as for --suppress: dog=-2.5; dog=-inf "
            "forbids it. May be repeated.",
        ),
    ] = None
    stop: Annotated[
        list[str] | None,
        text_option(
            "--stop TEXT",
            "End the text before this string. May be repeated: the first to come counts.",
        ),
    ] = None
    must: Annotated[
        list[str] | None,
        text_option(
            "--must TEXT",
            "Word or phrase that the text must contain; needs beam search (--beam 2 or more). "
            "May be repeated.",
        ),
    ] = None
    regex: Annotated[
        str | None,
        text_option(
            "--regex PATTERN",
            "Write a text that matches this regular expression from start to end, unless "
            f"--max-tokens cuts it off. {_GRAMMAR}",
        ),
    ] = None
    choice: Annotated[
        list[str] | None,
        text_option("--choice TEXT", "Write one of the texts that this option is repeated with."),
    ] = None
    json_schema: Annotated[
        str | None,
        text_option(
            "--json-schema FILE",
            "Write JSON that fits the JSON schema in this file, or given here as text.",
        ),
    ] = None
