"""The grammar that --regex, --choice or --json-schema describes."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformer.decoding.constraints.grammar import Grammar

    from .decoding import DecodingOptions


def chosen_grammar(decoding: "DecodingOptions") -> "Grammar | None":
    """Return the grammar that the text must match, if any.

    Raises ConfigError for several grammars and for one that is not valid, OSError.
    """
    from transformer.decoding.constraints.grammar import GRAMMARS
    from transformer.errors import ConfigError

    schema = decoding.json_schema
    if schema is not None and not schema.lstrip().startswith(("{", "true", "false")):
        schema = Path(schema).read_text(encoding="utf-8", errors="replace")
    values = {
        "regular-expression": decoding.regex,
        "choices": decoding.choice,
        "json-schema": schema,
    }
    chosen = {name: value for name, value in values.items() if value is not None}
    if len(chosen) > 1:
        raise ConfigError("only one of --regex, --choice and --json-schema can be given")
    return next((GRAMMARS[name](value) for name, value in chosen.items()), None)
