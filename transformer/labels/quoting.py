"""Labels in messages: the first few of them."""

from collections.abc import Iterable

_LISTED = 5  # labels in a message


def quoted_labels(names: Iterable[str]) -> str:
    """Return the first labels, quoted and cut, for a message."""
    return first_words(repr(each[:40]) for each in names)


def first_words(words: Iterable[str]) -> str:
    """Return the first words, and a mark if there are more."""
    every = [*words]
    return ", ".join(every[:_LISTED]) + (" …" if len(every) > _LISTED else "")
