"""The options that say how long texts may be, what they must hold and what they must not."""

from dataclasses import dataclass
from functools import partial

from .groups import option_field

text_option = partial(option_field, panel="Length, repetition and content")
_GRAMMAR = 'Only one of --regex, --choice, --json-schema; they need the extra "constrained".'


@dataclass(kw_only=True)
class TextConstraintOptions:
    """Options of what may be written. None: the model's own setting, or none."""

    max_tokens: int | None = None  # an option of each command, whose default differs
    min_tokens: int = text_option(
        0,
        "--min-tokens N",
        "Tokens to write before the end token is allowed; --stop may end a text sooner.",
        min=0,
    )
    repetition_penalty: float | None = text_option(
        None,
        "--repetition-penalty X",
        "Above 1, tokens of the text so far and its prompt become less likely; below 1 "
        "(but above 0), likelier. Default: the model's own, or 1.",
    )
    presence_penalty: float | None = text_option(
        None,
        "--presence-penalty X",
        "Subtracted from the logits of tokens already written, the prompt's not counted; "
        "below 0 they become likelier.",
    )
    frequency_penalty: float | None = text_option(
        None,
        "--frequency-penalty X",
        "Like --presence-penalty, but subtracted once for each time the token was written.",
    )
    no_repeat_ngram: int | None = text_option(
        None,
        "--no-repeat-ngram N",
        "Never write N tokens in a row that are anywhere in the text or its prompt "
        "already. Default: the model's own, or no limit.",
        min=1,
    )
    bad_word: list[str] | None = text_option(
        None,
        "--bad-word TEXT",
        "Never write the tokens of this word or phrase in a row; capitals count. May be repeated.",
    )
    suppress: list[str] | None = text_option(
        None,
        "--suppress TOKEN",
        "Never write this token, named as tokenizer encode --pieces shows it. May be repeated.",
    )
    bias: list[str] | None = text_option(
        None,
        "--bias TOKEN=X",
        "Add X to the logit of a token, named as for --suppress: dog=-2.5; dog=-inf "
        "forbids it. May be repeated.",
    )
    stop: list[str] | None = text_option(
        None,
        "--stop TEXT",
        "End the text before this string. May be repeated: the first to come counts.",
    )
    must: list[str] | None = text_option(
        None,
        "--must TEXT",
        "Word or phrase that the text must contain; needs beam search (--beam 2 or more). "
        "May be repeated.",
    )
    regex: str | None = text_option(
        None,
        "--regex PATTERN",
        "Write a text that matches this regular expression from start to end, unless "
        f"--max-tokens cuts it off. {_GRAMMAR}",
    )
    choice: list[str] | None = text_option(
        None, "--choice TEXT", "Write one of the texts that this option is repeated with."
    )
    json_schema: str | None = text_option(
        None,
        "--json-schema FILE",
        "Write JSON that fits the JSON schema in this file, or given here as text.",
    )
