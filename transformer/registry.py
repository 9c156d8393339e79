"""Registries of variants: dictionaries whose missing key is an error of one line."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from .errors import UnknownNameError

Entry = TypeVar("Entry")
_LEAST = 2  # letters of a name that may mean another
_MOST = 4  # names that may be meant


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Return text that names the likely ones of the allowed names, if any is likely, and lists all.

    >>> suggest("rotry", ["rotary", "alibi"])
    'did you mean rotary? (allowed: alibi, rotary)'
    >>> suggest("tiny", ["write-tiny", "big", "translate-tiny"])
    'did you mean translate-tiny or write-tiny? (allowed: big, translate-tiny, write-tiny)'
    """
    names = sorted(allowed)
    likely, listing = likely_names(name, names), ", ".join(names)
    return (
        f"did you mean {either(likely)}? (allowed: {listing})" if likely else f"allowed: {listing}"
    )


def either(names: Sequence[str]) -> str:
    """Return names as one of them is meant.

    >>> either(["a"]), either(["a", "b", "c"])
    ('a', 'a, b or c')
    """
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def likely_names(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that another most likely means: none if none is likely, a few at most.

    These are those that differ least, by case, hyphens or a letter of five, and the only one that
    begins so. If there is none of them, it is the only one that begins the word, or two thirds of
    it, or else those of which it is one word. Another letter in a word of three makes another
    word, and so does another digit in any.

    >>> [likely_names(name, ["rotary", "alibi", "t5-base"]) for name in ("rotry", "T5_base", "ali")]
    [['rotary'], ['t5-base'], ['alibi']]
    >>> likely_names("float16", ["float32", "bfloat16"]), likely_names("gpt3", ["gpt2"])
    (['bfloat16'], [])
    """
    plain = {each: _plain(each) for each in names}
    wanted = _plain(name[:100])  # a name may be of megabytes
    if len(wanted) < _LEAST:
        return []
    begun = _only([each for each, text in plain.items() if text.startswith(wanted)])
    likely = list(dict.fromkeys([*_slips_of(wanted, plain), *(begun if len(wanted) > 2 else [])]))
    likely = likely or _only(_akin_to(wanted, plain)) or _with_words(wanted, plain)
    return likely if len(likely) <= _MOST else []


def _only(names: list[str]) -> list[str]:
    """Return a name that is alone, and none of several."""
    return names if len(names) == 1 else []


def _slips_of(wanted: str, plain: Mapping[str, str]) -> list[str]:
    """Return the names that differ least, if by no more than slips of the fingers."""
    limit = max(1, len(wanted) // 5)
    distances = {
        each: _slips(wanted, text)
        for each, text in plain.items()
        if abs(len(text) - len(wanted)) <= limit
    }
    least = min(distances.values(), default=limit + 1)
    return [each for each, distance in distances.items() if distance == least <= limit]


def _akin_to(wanted: str, plain: Mapping[str, str]) -> list[str]:
    """Return the names that begin a longer word, such as `training`, or else two thirds of it."""
    shared = {each: _shared_beginning(wanted, text) for each, text in plain.items()}
    begins = [
        each
        for each, text in plain.items()
        if shared[each] == len(text) > 3
        and (len(wanted) <= 2 * len(text) or wanted[len(text)] == "-")
    ]
    return begins or [
        each
        for each, text in plain.items()
        if shared[each] > 5 and 3 * shared[each] >= 2 * max(len(wanted), len(text))
    ]


def _with_words(wanted: str, plain: Mapping[str, str]) -> list[str]:
    """Return the names of several words, of which what is wanted is one, or some."""
    return [each for each, text in plain.items() if f"-{wanted}-" in f"-{text}-"]


def _shared_beginning(one: str, other: str) -> int:
    """Return the number of letters with which both begin."""
    differing = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")


def _slips(one: str, other: str) -> int:
    """Return the number of letters left out, added, changed or swapped.

    A digit changed is two, and so is a letter of a short word.
    """
    is_short = min(len(one), len(other)) < 4
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before = before, row
        row = [i]
        for j, b in enumerate(other, 1):
            changed = 0 if a == b else 1 + (is_short or a.isdigit() or b.isdigit())
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
        raise UnknownNameError(f"no {self.noun} is called {name!r}; {suggest(str(name), self)}")

    def check(self, name: str) -> None:
        """Raise UnknownNameError unless the name is registered."""
        self[name]
