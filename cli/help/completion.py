"""Completion of the command line: what may stand at the cursor, asked by a script in the shell.

The script passes the words in an environment variable, each with the separator behind it, and reads
lines of a kind, a value and a description: `plain` and `part` (no space follows) are words, `path`
is a folder, and `file` and `folder` leave it to the shell to complete any.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..options.groups import choices_of
from .models import model_names

SHELL, WORDS = "_TRANSDUCE_COMPLETE", "_TRANSDUCE_WORDS"
_SEPARATOR = "\x1f"
_DEVICES = ("auto", "cpu", "cuda")


class Item(NamedTuple):
    """A word that may stand at the cursor."""

    kind: str
    value: str = ""
    help: str = ""


def print_completions(command: Any) -> None:
    """Print what may stand at the cursor."""
    words = os.environ.get(WORDS, "").split(_SEPARATOR)[:-1]
    for item in completions(command, words or [""]):
        sys.stdout.write("\t".join(" ".join(part.split("\t")) for part in item) + "\n")


class _Cursor(NamedTuple):
    """The place of the cursor: its command, and what the words before it leave open."""

    command: Any
    option: Any = None  # whose value is to come
    arguments: int = 0  # that are there
    only_arguments: bool = False  # after --


def completions(command: Any, words: list[str]) -> list[Item]:
    """Return what the last of the words after the program's name may be."""
    *before, word = words
    place = _Cursor(command)
    for each in (each for each in before if each != "="):  # bash takes --beam=5 for three words
        place = _after(place, each)
    word = "" if word == "=" else word
    if place.option is not None:
        return _values(place.option, word)
    if word.startswith("-") and not place.only_arguments:
        name, equals, value = word.partition("=")
        if not equals:
            return _starting_with(word, _option_names(place.command))
        values = _values(_option(place.command, name), value)
        return [item._replace(value=f"{name}={item.value}") for item in values if item.value]
    if inner := getattr(place.command, "commands", None):
        rows = ((name, _sentence(c.help)) for name, c in inner.items() if not c.hidden)
        return _starting_with(word, rows)
    return _values(_argument(place.command, place.arguments), word)


def _after(place: _Cursor, word: str) -> _Cursor:
    """Return the place after one more word."""
    if place.option is not None:
        return place._replace(option=None)
    if not place.only_arguments and word.startswith("-") and word != "-":
        if word == "--":
            return place._replace(only_arguments=True)
        return place._replace(option=_option(place.command, word))
    if inner := getattr(place.command, "commands", None):
        return _Cursor(inner.get(word))
    return place._replace(arguments=place.arguments + 1)


def _parameters(command: Any) -> list[Any]:
    return [] if command is None else list(command.params)  # None: no such command


def _option(command: Any, name: str) -> Any:
    """Return the option of this name that takes a value, if there is one."""
    for parameter in _parameters(command):
        if name in parameter.opts and not getattr(parameter, "is_flag", True):
            return parameter
    return None


def _argument(command: Any, index: int) -> Any:
    """Return the argument at this place; the last may take any number."""
    arguments = [p for p in _parameters(command) if p.param_type_name == "argument"]
    if index < len(arguments):
        return arguments[index]
    return arguments[-1] if arguments and arguments[-1].nargs == -1 else None


def _option_names(command: Any) -> Iterator[tuple[str, str]]:
    for parameter in _parameters(command):
        if parameter.param_type_name == "option" and not parameter.hidden:
            for name in (*parameter.opts, *parameter.secondary_opts):
                yield name, _sentence(parameter.help)


def _sentence(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split()).partition(". ")[0]


def _starting_with(word: str, rows: Iterable[tuple[str, str]]) -> list[Item]:
    return [Item("plain", value, text) for value, text in rows if value.startswith(word)]


def _values(parameter: Any, word: str) -> list[Item]:
    """Return what the value of a parameter may be, by the word that stands for it on help pages."""
    if parameter is None:
        return []
    if choices := choices_of(parameter):
        return _starting_with(word, ((name, "") for name in choices))
    metavar = (parameter.metavar or "").strip("[].")
    complete = _BY_METAVAR.get(metavar)
    if complete is None and "--device" in parameter.opts:
        return _starting_with(word, ((name, "") for name in _DEVICES))
    return complete(word) if complete is not None else []


def _models(word: str) -> list[Item]:
    names = model_names(word)
    items = [Item("path", name) for name in names.folders]
    items += [Item("plain", name) for name in names.cached]
    return [*items, Item("folder")] if names.is_cut else items  # the shell completes all folders


def _recipe_keys(word: str) -> list[Item]:
    from transformer.training.recipe import Recipe
    from transformer.training.recipe_keys import recipe_keys

    keys = ((f"{key.name}=", key.description) for key in recipe_keys(Recipe))
    return [Item("part", name, text) for name, text in keys if name.startswith(word)]


def _files(word: str) -> list[Item]:
    del word
    return [Item("file")]


def _recipes(word: str) -> list[Item]:
    from transformer.training.packaged_recipes import recipe_names

    return [*_starting_with(word, ((name, "") for name in recipe_names())), *_files(word)]


def _folders(word: str) -> list[Item]:
    del word
    return [Item("folder")]


_BY_METAVAR = {
    "FILE": _files,
    "PATH": _files,
    "RECIPE": _recipes,
    "FOLDER": _folders,
    "MODEL": _models,
    "FIRST": _models,
    "SECOND": _models,
    "KEY=VALUE": _recipe_keys,
}
