"""Mistakes in a command line, told in the program's own words."""

from collections.abc import Callable, Iterator
from typing import Any

from transformer.registry import either, likely_names

from .foreign_names import FOREIGN_COMMANDS, FOREIGN_OPTIONS
from .render import is_argument, panel_of
from .repeated import values_of

_SHOWN = 100  # characters of what was typed


def reword(error: Any, context: Any, args: list[str]) -> str:
    """Return a line for an error of the parser about these arguments.

    Kinds of errors go by the names of their classes: typer keeps its copy of click to itself.
    """
    tell = _BY_KIND.get(type(error).__name__)
    return tell(error, context, args) if tell is not None else str(error.format_message())


def too_many(arguments: list[str], command: Any) -> str:
    """Return a line for arguments that a command does not take."""
    is_text = any((p.metavar or "") == "[PROMPT]" for p in command.params)
    hint = "; put a text of several words in quotes" if is_text else ""
    files = [p for p in command.params if p.metavar == "FILE" and panel_of(p) != "Output"]
    if files and not any(map(is_argument, command.params)):
        names = ", ".join(f"{p.opts[0]} {p.metavar}" for p in files)
        hint = f"; options name the files that are read: {names}"
    return f"too many arguments: {' '.join(arguments)[:_SHOWN]}{hint}"


def unknown_command(name: str, context: Any) -> str:
    """Return a line for a command that a group has not, with those that it may mean."""
    own, foreign = context.command.commands, FOREIGN_COMMANDS.get(name.lower(), ())
    likely = likely_names(name, own)
    if context.parent is None and foreign:
        likely = [f"transduce {words}" for words in foreign]
    elif not likely:
        paths = dict(_leaves(context.find_root().command, "transduce"))
        last = likely_names(name, {*paths.values()})
        likely = [path for path, word in paths.items() if word in last]
    listing = ", ".join(sorted(own))
    hint = (
        f"did you mean {either(likely)}? (allowed: {listing})" if likely else f"allowed: {listing}"
    )
    return f"no command is called {name[:_SHOWN]!r}; {hint}"


def _leaves(command: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each command below one, and its last word."""
    for name, inner in getattr(command, "commands", {}).items():
        yield f"{path} {name}", name
        yield from _leaves(inner, f"{path} {name}")


def _unknown_option(error: Any, context: Any, args: list[str]) -> str:
    unknown, command = str(error.option_name), context.command
    if unknown == "-=":
        return "a short option takes its value without =, as in -n 5"
    long = next((f"-{word.partition('=')[0]}" for word in args if _spells(word, unknown)), unknown)
    hint = _equivalent(long, context) or _likely_option(long, command) or _likely_key(long, command)
    if not hint and _has_inner(command, unknown):
        hint = f"it goes behind a command: {context.command_path} COMMAND {unknown}"
    typed = long[1:] if long != unknown else unknown
    return f"no such option: {typed[:_SHOWN]}" + (f"; {hint}" if hint else "")


def _spells(word: str, unknown: str) -> bool:
    """Return True for a long option with one dash, of which the parser names the first letter."""
    return len(unknown) == 2 < len(word) and word.startswith(unknown) and word[1:2].isalpha()


def _equivalent(name: str, context: Any) -> str:
    """Return a hint at the option or the argument that another program calls so; "" for none."""
    own = {each for p in context.command.params for each in (*p.opts, str(p.metavar).strip("[]."))}
    meant = next((each for each in FOREIGN_OPTIONS.get(name, ()) if each in own), None)
    if meant is None or meant.startswith("-"):
        return f"did you mean {meant}?" if meant else ""
    return f"{meant} is given without an option: {context.command_path} {meant}"


def _likely_option(name: str, command: Any) -> str:
    names = {
        each.lstrip("-"): each for p in command.params for each in (*p.opts, *p.secondary_opts)
    }
    long = {word: each for word, each in names.items() if each.startswith("--")}
    likely = likely_names(name.lstrip("-"), long) if name.startswith("--") else []
    return f"did you mean {either([long[word] for word in likely])}?" if likely else ""


def _likely_key(name: str, command: Any) -> str:
    """Return a hint at the key of a recipe that is named so, where a command sets keys."""
    if not name.startswith("--") or all(p.metavar != "KEY=VALUE" for p in command.params):
        return ""
    from transformer.training.recipe import Recipe
    from transformer.training.recipe_keys import likely_keys, recipe_keys

    word = name.lstrip("-").replace("-", "_")
    likely = likely_keys(word, [key.name for key in recipe_keys(Recipe)])
    return f"did you mean {either([f'--set {key}=VALUE' for key in likely])}?" if likely else ""


def _has_inner(command: Any, name: str) -> bool:
    inner = getattr(command, "commands", {}).values()
    return any(name in p.opts for c in inner for p in c.params) or any(
        _has_inner(each, name) for each in inner
    )


def _missing(error: Any, context: Any, args: list[str]) -> str:
    del context, args
    parameter = error.param
    names = "" if is_argument(parameter) else "/".join(parameter.opts)
    text = f"{names} {parameter.metavar} is needed".strip()
    variable = getattr(parameter, "envvar", None)
    return f"{text}; the variable {variable} can give it, too" if variable else text


def _option_usage(error: Any, context: Any, args: list[str]) -> str:
    """Return a line for an option without its value, or a flag with one."""
    del args
    name = str(error.option_name)
    option = next((p for p in context.command.params if name in p.opts), None)
    if option is None or option.is_flag:
        return f"{name[:_SHOWN]} takes no value"
    return f"{name} needs a value: {name} {option.metavar}"


def _bad_value(error: Any, context: Any, args: list[str]) -> str:
    """Return a line for a value that is no number, or one out of bounds."""
    parameter = error.param
    number = {"int": (int, "a whole number"), "float": (float, "a number")}
    kind = number.get(getattr(parameter.type, "name", "").removesuffix("eger").split()[0])
    value = values_of(context, args).get(parameter.name, [""])[-1]
    if kind is None or is_argument(parameter):
        return str(error.format_message())
    low, high = (getattr(parameter.type, side, None) for side in ("min", "max"))
    bounds = {
        (False, False): "",
        (True, False): f", at least {_plain(low)}",
        (False, True): f", at most {_plain(high)}",
        (True, True): f" between {_plain(low)} and {_plain(high)}",
    }[low is not None, high is not None]
    try:
        shown = str(kind[0](value))
    except ValueError:
        shown = repr(value[:_SHOWN])
    return f"{max(parameter.opts, key=len)} is {shown[:_SHOWN]}; it must be {kind[1]}{bounds}"


def _plain(number: float | None) -> str:
    return str(number).removesuffix(".0")


_BY_KIND: dict[str, Callable[[Any, Any, list[str]], str]] = {
    "NoSuchOption": _unknown_option,
    "MissingParameter": _missing,
    "BadOptionUsage": _option_usage,
    "BadParameter": _bad_value,
}
