"""Mistakes in a command line, told in the program's own words."""

from collections.abc import Callable
from typing import Any

from transformer.registry import nearest

from .pages import ELSEWHERE


def reword(error: Any, command: Any) -> str:
    """Return a line for an error of the parser."""
    tell = _BY_KIND.get(type(error).__name__)
    return tell(error, command) if tell is not None else str(error.format_message())


def _unknown_option(error: Any, command: Any) -> str:
    unknown = str(error.option_name)
    known = {name.lstrip("-"): name for p in command.params for name in p.opts if name[1:2] == "-"}
    near = nearest(unknown.lstrip("-"), known) if unknown.startswith("--") else None
    meant = ELSEWHERE.get(unknown)
    if meant not in known.values():
        meant = known[near] if near is not None else None
    return f"no such option: {unknown[:100]}" + (f"; did you mean {meant}?" if meant else "")


def _missing(error: Any, command: Any) -> str:
    del command
    parameter = error.param
    names = "/".join(parameter.opts) if parameter.param_type_name == "option" else ""
    text = f"{names} {parameter.metavar} is needed".strip()
    variable = getattr(parameter, "envvar", None)
    return f"{text}; the variable {variable} can give it, too" if variable else text


def _option_usage(error: Any, command: Any) -> str:
    """Return a line for an option without its value, or a flag with one."""
    name = str(error.option_name)
    option = next((p for p in command.params if name in p.opts), None)
    if option is None or option.is_flag:
        return f"{name[:100]} takes no value"
    return f"{name} needs a value: {name} {option.metavar}"


def _bad_value(error: Any, command: Any) -> str:
    """Return a line for a value that is no number, or one out of bounds."""
    del command
    parameter = error.param
    number = {"int": "a whole number", "float": "a number"}
    kind = number.get(getattr(parameter.type, "name", "").removesuffix("eger").split()[0])
    value, marked, _ = str(error.message).partition(" is not ")
    if kind is None or not marked:
        return str(error.format_message())
    low, high = (getattr(parameter.type, side, None) for side in ("min", "max"))
    bounds = {
        (False, False): "",
        (True, False): f", at least {_plain(low)}",
        (False, True): f", at most {_plain(high)}",
        (True, True): f" between {_plain(low)} and {_plain(high)}",
    }[low is not None, high is not None]
    return f"{max(parameter.opts, key=len)} is {value[:100]}; it must be {kind}{bounds}"


def _plain(number: float | None) -> str:
    return str(number).removesuffix(".0")


def _other(error: Any, command: Any) -> str:
    """Return a line for what is there too much, or as the parser words it."""
    message = str(error.format_message())
    _, found, extra = message.partition("Got unexpected extra argument(s) (")
    if not found:
        return message
    is_text = any((p.metavar or "") == "[PROMPT]" for p in command.params)
    hint = "; put a text of several words in quotes" if is_text else ""
    return f"too many arguments: {extra[:-1][:100]}{hint}"


_BY_KIND: dict[str, Callable[[Any, Any], str]] = {
    "NoSuchOption": _unknown_option,
    "MissingParameter": _missing,
    "BadOptionUsage": _option_usage,
    "BadParameter": _bad_value,
    "UsageError": _other,
}
