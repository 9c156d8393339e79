"""Registries of variants: dictionaries whose missing key is an error of one line."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from .errors import UnknownNameError

Entry = TypeVar("Entry")


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Return text that names the nearest allowed name, if any is near, and lists all.

    >>> suggest("rotry", ["rotary", "alibi"])
    'did you mean rotary? (allowed: alibi, rotary)'
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(name[:100], names, n=1)  # slow for megabytes
    listing = ", ".join(names)
    return f"did you mean {close[0]}? (allowed: {listing})" if close else f"allowed: {listing}"


class Registry(dict[str, Entry]):
    """The variants of one part, by name; `noun` names their kind in messages."""

    def __init__(self, noun: str, entries: Mapping[str, Entry]) -> None:
        super().__init__(entries)
        self.noun = noun

    def __missing__(self, name: str) -> Entry:
        raise UnknownNameError(f"no {self.noun} is called {name!r}; {suggest(name, self)}")

    def check(self, name: str) -> None:
        """Raise UnknownNameError unless the name is registered."""
        self[name]
