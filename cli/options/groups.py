"""Groups of options that several commands have: the fields of a dataclass."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter
from typing import Annotated, Any

import typer

MODEL_METAVARS = ("MODEL", "FIRST", "SECOND")  # of options and arguments that name models
_PATHS = ("FILE", "FOLDER", "MODEL", "PATH")  # of any bytes
# The groups of options on help pages, in their order: the `panel` of each option is one of them.
PANELS = (
    "Input",
    "Pairs",
    "Running text",
    "Labels",
    "Model",
    "Training",
    "Output",
    "Languages",
    "Length, repetition and content",
    "Beam search",
    "Sampling",
    "Speculative decoding",
    "Running",
    "Help and errors",
)


class Metavar(str):
    """The word that stands for an option's value, such as NAME, with the names that it may be."""

    __slots__ = ("choices",)
    choices: tuple[str, ...]


def option(
    names: str,
    help: str,  # noqa: A002
    *,
    panel: str | None = None,
    choices: Iterable[str] = (),
    **settings: Any,
) -> Any:
    """Return an option, such as "-n --max-tokens N", with its help.

    A last word without a dash is shown for the value. `panel` is its group on the help page, one of
    PANELS. `choices` are the names that it may be: others are refused, and shells complete them. A
    value that is no name of a file or a folder must be UTF-8.
    """
    words = names.split()
    metavar = None if words[-1].startswith("-") else Metavar(words.pop())
    if metavar is not None:
        metavar.choices = tuple(choices)
        if metavar.choices:
            settings.setdefault("callback", checked_name)
        elif metavar not in _PATHS:
            settings.setdefault("callback", checked_text)
    return typer.Option(*words, metavar=metavar, help=help, rich_help_panel=panel, **settings)


def checked_name(parameter: typer.CallbackParam, value: Any) -> Any:
    """Return an option's value. Raises UnknownNameError for none of its choices."""
    from transformer.bounds import check_text
    from transformer.errors import UnknownNameError
    from transformer.registry import suggest

    choices, name = choices_of(parameter), max(parameter.opts, key=len)
    if value is not None and value not in choices:
        check_text(name, value)
        raise UnknownNameError(f"{name} is {str(value)[:100]!r}; {suggest(value, choices)}")
    return value


def choices_of(parameter: Any) -> tuple[str, ...]:
    """Return the names that a parameter may be; none if it may be anything."""
    return getattr(parameter.metavar, "choices", ())


def checked_text(parameter: typer.CallbackParam, value: Any) -> Any:
    """Return an option's value. Raises ConfigError for a text that is not UTF-8."""
    from transformer.bounds import check_text

    check_text(max(parameter.opts, key=len), value)
    return value


def option_field(
    default: Any,
    names: str,
    help: str,  # noqa: A002
    *,
    key: str | None = None,
    **settings: Any,
) -> Any:
    """Return a dataclass's field that is an option; see `option`.

    `key` is that of a recipe which it sets, such as `training.steps`.
    """
    metadata = {"option": option(names, help, **settings), "names": names, "key": key}
    return dataclasses.field(default=default, metadata=metadata)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses, whose fields become options of its own.

    Typer reads a command's options from its signature; in the signature of the returned function
    each parameter that is annotated with a dataclass is replaced by that dataclass's fields.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if dataclasses.is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def call(**values: Any) -> None:
        for name, group in groups.items():
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(group)}
            values[name] = group(**fields)
        command(**values)

    parameters: list[Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += (
            map(_parameter, dataclasses.fields(groups[name])) if name in groups else [parameter]
        )
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def changed_options(group: Any) -> list[str]:
    """Return the long names of those options of a group that have not their defaults."""
    names = []
    for field in dataclasses.fields(group):
        if getattr(group, field.name) != field.default:
            flag = field.metadata.get("flag")  # of an argument of the pipelines
            words = field.metadata["names"] if flag is None else flag.names
            names.append(next(word for word in words.split() if word.startswith("--")))
    return names


def _parameter(field: "dataclasses.Field[Any]") -> Parameter:
    kind: Any = field.type
    if "option" in field.metadata:
        kind = Annotated[kind, field.metadata["option"]]
    if (flag := field.metadata.get("flag")) is not None:  # an argument of the pipelines
        shown = {"panel": flag.panel, "choices": flag.choices, "min": flag.min, "max": flag.max}
        kind = Annotated[kind, option(flag.names, flag.help, **shown)]
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=kind)
