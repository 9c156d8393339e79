"""Tables of variants: a dictionary whose missing key is a user's mistake, told in one line."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from .errors import UnknownNameError

Entry = TypeVar("Entry")


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Say which allowed name was probably meant, or list them all.

    >>> nearest("rotry", ["rotary", "alibi"])
    'did you mean rotary? (allowed: alibi, rotary)'
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(name[:100], names, n=1)  # of megabytes: slow
    listing = ", ".join(names)
    return f"did you mean {close[0]}? (allowed: {listing})" if close else f"allowed: {listing}"


class Registry(dict[str, Entry]):
    """The variants of one part, by name; `noun` says in messages what they are."""

    def __init__(self, noun: str, entries: Mapping[str, Entry]) -> None:
        super().__init__(entries)
        self.noun = noun

    def __missing__(self, name: str) -> Entry:
        raise UnknownNameError(f"no {self.noun} is called {name!r}; {suggest(name, self)}")

    def check(self, name: str) -> None:
        """Raise UnknownNameError for a name that is not here."""
        self[name]
