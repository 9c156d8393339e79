"""Registries of variants: dictionaries whose missing key is an error of one line."""

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
    close, listing = nearest(name, names), ", ".join(names)
    return f"did you mean {close}? (allowed: {listing})" if close else f"allowed: {listing}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of some names that another most likely means; None if none is likely.

    It differs in a letter of five, in case, or in its hyphens, or is the only one that begins so,
    or the only one of which two thirds begin so. A digit for another is no slip.

    >>> [nearest(name, ["rotary", "alibi", "t5-base"]) for name in ("rotry", "T5_base", "ali")]
    ['rotary', 't5-base', 'alibi']
    >>> nearest("float16", ["float32", "bfloat16"]), nearest("gpt3", ["gpt2"])
    ('bfloat16', None)
    """
    plain = {each: _plain(each) for each in names}
    wanted = _plain(name[:100])  # a name may be of megabytes
    limit = max(1, len(wanted) // 5)
    distances = {each: _slips(wanted, text) for each, text in plain.items()}
    close = [each for each, distance in distances.items() if distance <= limit]
    if close:
        return min(close, key=lambda each: distances[each])
    shared = {each: _shared_beginning(wanted, text) for each, text in plain.items()}
    begun = [each for each in plain if shared[each] == len(wanted) > 2]
    alike = [
        each
        for each, text in plain.items()
        if shared[each] > 5 and 3 * shared[each] >= 2 * max(len(wanted), len(text))
    ]
    akin = begun or alike
    return akin[0] if len(akin) == 1 else None


def _shared_beginning(one: str, other: str) -> int:
    """Return the number of letters with which both begin."""
    differing = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")


def _slips(one: str, other: str) -> int:
    """Return the number of letters left out, added, changed or swapped; a digit changed is two."""
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before = before, row
        row = [i]
        for j, b in enumerate(other, 1):
            changed = 0 if a == b else 1 + (a.isdigit() or b.isdigit())
            least = min(before[j] + 1, row[-1] + 1, before[j - 1] + changed)
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, earlier[j - 2] + 1)
            row.append(least)
    return row[-1]


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
