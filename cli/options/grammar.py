"""The grammar that options ask for."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformer.decoding.constraints.grammar import Grammar

    from .decoding import DecodingOptions


def chosen_grammar(asked: "DecodingOptions") -> "Grammar | None":
    """What all that is written must match, if anything. Raises ConfigError for what cannot be."""
    from transformer.decoding.constraints.grammar import GRAMMARS
    from transformer.errors import ConfigError

    schema = asked.json_schema
    if schema is not None and not schema.lstrip().startswith(("{", "true", "false")):
        schema = Path(schema).read_text(encoding="utf-8", errors="replace")
    values = {"regular-expression": asked.regex, "choices": asked.choice, "json-schema": schema}
    given = {name: value for name, value in values.items() if value is not None}
    if len(given) > 1:
        raise ConfigError("of --regex, --choice and --json-schema only one can be given")
    return next((GRAMMARS[name](value) for name, value in given.items()), None)
