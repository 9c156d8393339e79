"""Arguments that say how long texts may be, what they must hold and what they must not."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ...bounds import check_text
from ...errors import ConfigError
from .argument import argument

if TYPE_CHECKING:
    from ...decoding.constraints.grammar import Grammar

text_argument = partial(argument, panel="Length, repetition and content")
_GRAMMAR = 'Only one of --regex, --choice, --json-schema; they need the extra "constrained".'


@dataclass(frozen=True, kw_only=True)
class TextArguments:
    """Arguments of what may be generated. None: the model's own setting, or none."""

    max_tokens: int | None  # each command's own, for the default differs
    min_tokens: int = text_argument(
        0,
        "--min-tokens N",
        "Tokens to write before the end token is allowed; --stop may end a text sooner.",
        min=0,
    )
    repetition_penalty: float | None = text_argument(
        None,
        "--repetition-penalty X",
        "Above 1, tokens of the text so far and its prompt become less likely; below 1 "
        "(but above 0), likelier. Default: the model's own, or 1.",
    )
    presence_penalty: float | None = text_argument(
        None,
        "--presence-penalty X",
        "Subtracted from the logits of tokens already written, the prompt's not counted; "
        "below 0 they become likelier.",
    )
    frequency_penalty: float | None = text_argument(
        None,
        "--frequency-penalty X",
        "Like --presence-penalty, but subtracted once for each time the token was written.",
    )
    no_repeat_ngram: int | None = text_argument(
        None,
        "--no-repeat-ngram N",
        "Never write N tokens in a row that are anywhere in the text or its prompt "
        "already. Default: the model's own, or no limit.",
        min=1,
    )
    bad_word: list[str] | None = text_argument(
        None,
        "--bad-word TEXT",
        "Never write this word or phrase, whatever tokens spell it; capitals count. A longer word "
        "may hold it, but for scripts without spaces. May be repeated.",
    )
    suppress: list[str] | None = text_argument(
        None,
        "--suppress TOKEN",
        "Never write this token, named as tokenizer encode --pieces shows it. May be repeated.",
    )
    bias: list[str] | None = text_argument(
        None,
        "--bias TOKEN=X",
        "Add X to the logit of a token, named as for --suppress: dog=-2.5; dog=-inf "
        "forbids it. May be repeated.",
    )
    stop: list[str] | None = text_argument(
        None,
        "--stop TEXT",
        "End the text before this string. May be repeated: the first to come counts. Default: the "
        "model's own, with which a text ends.",
    )
    must: list[str] | None = text_argument(
        None,
        "--must TEXT",
        "Word or phrase that the text must contain, where it is likeliest; needs beam search "
        "(--beam 2 or more). May be repeated.",
    )
    regex: str | None = text_argument(
        None,
        "--regex PATTERN",
        "Write a text that matches this regular expression from start to end, unless "
        f"--max-tokens cuts it off. {_GRAMMAR}",
    )
    choice: list[str] | None = text_argument(
        None, "--choice TEXT", "Write one of the texts that this option is repeated with."
    )
    json_schema: str | None = text_argument(
        None,
        "--json-schema FILE",
        "Write JSON that fits the JSON schema in this file, or given here as text.",
    )

    @cached_property
    def grammar(self) -> "Grammar | None":
        """The grammar that the text must match, if any.

        Raises ConfigError for several grammars and for one that is not valid, OSError.
        """
        from ...decoding.constraints.grammar import GRAMMARS

        values: dict[str, Any] = {
            "regular-expression": self.regex,
            "choices": self.choice,
            "json-schema": _read_schema(self.json_schema),
        }
        chosen = {name: value for name, value in values.items() if value is not None}
        if len(chosen) > 1:
            raise ConfigError("only one of --regex, --choice and --json-schema can be given")
        return next((GRAMMARS[name](value) for name, value in chosen.items()), None)


def _read_schema(schema: Any) -> Any:
    """Return a JSON schema: the value itself, or the contents of a file."""
    if not isinstance(schema, str) or schema.lstrip().startswith(("{", "true", "false")):
        check_text("--json-schema", schema)
        return schema
    from tokenizer import read_text

    return read_text(schema)
