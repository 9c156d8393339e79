"""Groups of options that several commands have: the fields of a dataclass."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from inspect import Parameter
from typing import Any


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses, whose fields become options of its own.

    Typer reads a command's options off its signature; this one has the fields in the place of the
    parameters that are annotated with a dataclass.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if dataclasses.is_dataclass(parameter.annotation)
    }

    @wraps(command)
    def call(**given: Any) -> None:
        for name, group in groups.items():
            fields = {field.name: given.pop(field.name) for field in dataclasses.fields(group)}
            given[name] = group(**fields)
        command(**given)

    parameters: list[Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += (
            map(_option, dataclasses.fields(groups[name])) if name in groups else [parameter]
        )
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def _option(field: "dataclasses.Field[Any]") -> Parameter:
    return Parameter(
        field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
    )
