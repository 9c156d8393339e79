"""Arguments as fields of dataclasses, with what the command line shows of them."""

import dataclasses
import os
from typing import Any, NamedTuple

from msgspec import Meta

from ...bounds import check_number, check_text


class Flag(NamedTuple):
    """An argument on the command line."""

    names: str  # "-n --max-tokens N": a last word without a dash is shown for the value
    help: str
    panel: str | None = None  # group on the help page: PANELS in cli/options/groups.py
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()  # names that it may be, where these are known without torch

    @property
    def name(self) -> str:
        """The long name, such as `--max-tokens`."""
        return next(word for word in self.names.split() if word.startswith("--")).partition("/")[0]


def argument(default: Any, names: str, help: str, **settings: Any) -> Any:  # noqa: A002
    """Return a dataclass's field that is an argument; see Flag."""
    return dataclasses.field(default=default, metadata={"flag": Flag(names, help, **settings)})


def batch_argument(help: str = "Most tokens of a batch: its lines times the longest.") -> Any:  # noqa: A002
    """Return the field of a batch's tokens."""
    return argument(4096, "--batch-tokens N", help, min=1, panel="Running")


def global_tokens_argument() -> Any:
    """Return the field of the number of global tokens."""
    return argument(
        None,
        "--global-tokens N",
        "In models with longformer attention (Longformer, LED): the first N tokens of each text, "
        "special ones counted, see all of it and are seen by all. Default: 1.",
        min=0,
        panel="Input",
    )


def flag_of(arguments: object, field: str) -> str:
    """Return the long name of an argument on the command line."""
    fields = {field.name: field for field in dataclasses.fields(arguments)}  # type: ignore[arg-type]
    flag: Flag = fields[field].metadata["flag"]
    return flag.name


def flags_with_values(arguments: object, *fields: str) -> dict[str, Any]:
    """Return the values of those arguments that are not None, by their names on the command line.

    >>> from .translate import TranslateArguments
    >>> flags_with_values(TranslateArguments(beam=2), "beam", "seed", "top_k")
    {'--beam': 2, '--seed': 0}
    """
    values = {flag_of(arguments, field): getattr(arguments, field) for field in fields}
    return {name: value for name, value in values.items() if value is not None}


def files_of(arguments: object) -> list[str]:
    """Return the names of files among the values of arguments, streams too.

    A value may also be the text itself.

    >>> from .translate import TranslateArguments
    >>> files_of(TranslateArguments(glossary=__file__)) == [__file__]
    True
    """
    fields = dataclasses.fields(arguments)  # type: ignore[arg-type]
    named = [f.name for f in fields if f.metadata["flag"].names.endswith(" FILE")]
    values = [str(getattr(arguments, name)) for name in named if getattr(arguments, name)]
    return [value for value in values if value == "-" or _is_file(value)]


def _is_file(value: str) -> bool:
    """Return True for what can be read by a name, and is no folder; a text has any length."""
    return os.path.exists(value) and not os.path.isdir(value)  # noqa: PTH110, PTH112


def check_values(arguments: object) -> None:
    """Raise ConfigError for a number out of bounds and a text not in UTF-8, naming the argument.

    Names of files may be of any bytes.
    """
    for field in dataclasses.fields(arguments):  # type: ignore[arg-type]
        flag, value = field.metadata["flag"], getattr(arguments, field.name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and not (flag.min is None and flag.max is None):
            check_number(flag.name, value, Meta(ge=flag.min, le=flag.max))
        if not flag.names.endswith(" FILE"):
            check_text(flag.name, value)
