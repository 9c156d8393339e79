"""The options that texts of the program name, beside those that its commands have."""

import re
from collections.abc import Iterator
from functools import cache

import typer

from cli.app import app

_NAMED = re.compile(r"((?:[a-z]+ ){0,2})(?<![\w-])(--[a-z][a-z-]*[a-z])(?![\w-])")


@cache
def options_of() -> dict[str, frozenset[str]]:
    """All names of the options of each command, by its words; of the program by none."""
    return dict(_options(typer.main.get_command(app), ""))


def _options(command, path: str) -> Iterator[tuple[str, frozenset[str]]]:
    names = frozenset(name for p in command.params for name in [*p.opts, *p.secondary_opts])
    yield path, names
    for name, inner in getattr(command, "commands", {}).items():
        yield from _options(inner, f"{path} {name}".strip())


def command_of(arguments: list[str]) -> str:
    """The command of a command line, by its words."""
    words = [word for word in arguments if not word.startswith("-")][:2]
    paths = [" ".join(words[:n]) for n in (2, 1, 0)]
    return next(path for path in paths if path in options_of())


def missing_options(path: str, text: str) -> list[str]:
    """The options in a text of a command that it lacks, or that the command before them lacks."""
    missing, options = [], options_of()
    for before, name in _NAMED.findall(" ".join(text.split())):
        words = before.split()
        candidates = [" ".join(words[-n:]) for n in (2, 1) if words[-n:]]
        owner = next((each for each in candidates if each in options), path)
        if name not in options[owner]:
            missing.append(f"{owner} {name}")
    return missing
