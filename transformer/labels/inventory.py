"""The labels of a set of texts: their names, their kind, and the ids that a model has for them."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from ..errors import UnknownNameError
from ..registry import suggest
from .quoting import quoted_labels
from .schemes import OUTSIDE

KINDS = ("single", "multi", "number")  # labels of a text: one, any number, a number itself
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MANY, _SHARE = 50, 0.5  # labels, and their share of the texts, from which on they are suspicious


class LabelValues(NamedTuple):
    """The labels of one text: as they are written, or those of a list."""

    values: tuple[str, ...]
    is_list: bool = False  # True: a text may have any number of them


def check_label_kind(kind: str) -> None:
    """Raise UnknownNameError for another kind of labels than those that there are."""
    if kind not in KINDS:
        raise UnknownNameError(f"no kind of labels is called {kind!r}; {suggest(kind, KINDS)}")


@dataclass(frozen=True)
class LabelInventory:
    """The labels that a model can give, in the order of their ids; none for numbers.

    They are sorted, so that the order of files and lines does not matter: whole numbers by value,
    other names by their characters; tags of words with O first and a label's tags side by side.
    """

    names: tuple[str, ...]
    kind: str = "single"
    ids: dict[str, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_label_kind(self.kind)
        object.__setattr__(self, "ids", {name: n for n, name in enumerate(self.names)})

    @property
    def head_names(self) -> tuple[str, ...]:
        """The names of a head's outputs; a number's is as `transformers` has it."""
        return ("LABEL_0",) if self.kind == "number" else self.names

    @property
    def head_size(self) -> tuple[int, str]:
        """The number of a head's outputs, and the kind of labels."""
        return len(self.head_names), self.kind

    def unseen(self, labels: Iterable[str]) -> list[str]:
        """Return those labels that are none of these; numbers are all known."""
        return [] if self.kind == "number" else [each for each in labels if each not in self.ids]


def collect_labels(
    texts: Iterable[LabelValues],
    kind: str | None = None,
    *,
    name: str = "the labels",
    noun: str = "text",
    notices: list[str] | None = None,
) -> LabelInventory:
    """Return the labels of texts, which are read once, and their kind, unless it is given.

    Messages call what has a label by a `noun`.

    Labels are several if one text has a list of them, and numbers if all are and one is not written
    as a whole number. Raises CorpusError where there is nothing to tell apart, or where a label is
    none of its kind; UnknownNameError for an unknown kind.
    """
    counts: Counter[str] = Counter()
    size, has_list, widest = 0, False, 0
    for values, is_list in texts:
        size, has_list, widest = size + 1, has_list or is_list, max(widest, len(values))
        counts.update(values)
    if not size:
        raise CorpusError(f"there is no {noun} with a label in {name}")
    kind = kind or ("multi" if has_list else "number" if _are_numbers(counts) else "single")
    check_label_kind(kind)
    if kind == "number":
        for each in counts:
            parse_number(each, name)
        return LabelInventory((), kind)
    if widest > 1 and kind == "single":
        raise CorpusError(f"{name}: a text has several labels; the kind multi takes them")
    if len(counts) < (2 if kind == "single" else 1):
        only = (
            f"all {noun}s have the label {next(iter(counts))!r}"
            if counts
            else f"no {noun} has a label"
        )
        raise CorpusError(f"{name}: {only}, so there is nothing to tell apart")
    if notices is not None and kind == "single" and len(counts) > max(_MANY, _SHARE * size):
        notices.append(
            f"{name}: {format_count(len(counts), 'label')} in {format_count(size, noun)}, such "
            f"as {next(iter(counts))[:60]!r}: are they the right column?"
        )
    return LabelInventory(tuple(sort_labels(counts)), kind)


def _are_numbers(labels: Iterable[str]) -> bool:
    names = [*labels]
    return all(map(is_number, names)) and not all(map(_INTEGER.fullmatch, names))


def is_number(label: str) -> bool:
    """Return True for a label that is written as a number."""
    return _NUMBER.fullmatch(label) is not None


def parse_number(label: str, name: str) -> float:
    """Return a label as a finite number. Raises CorpusError for another."""
    if is_number(label) and math.isfinite(number := float(label)):
        return number
    raise CorpusError(f"{name}: the label {label[:60]!r} is no number")


def sort_labels(names: Iterable[str]) -> list[str]:
    """Return labels in the order of their ids.

    >>> sort_labels(["10", "9"]), sort_labels(["I-X", "B-X", "O", "B-A"])
    (['9', '10'], ['O', 'B-A', 'B-X', 'I-X'])
    """
    labels = [*names]
    if all(map(_INTEGER.fullmatch, labels)):
        return sorted(labels, key=lambda each: (int(each), each))
    return sorted(labels, key=_tag_key if OUTSIDE in labels else None)


def _tag_key(name: str) -> tuple[bool, str, str]:
    """Return a key that puts O first, and the tags of a label side by side, B before I."""
    letter, dash, label = name.partition("-")
    return (
        (name != OUTSIDE, label, letter)
        if dash and len(letter) == 1
        else (name != OUTSIDE, name, "")
    )


class UnseenLabels:
    """The labels of one text file that an inventory lacks, counted."""

    def __init__(self, inventory: LabelInventory, name: str) -> None:
        self._inventory, self._name = inventory, name
        self._labels: Counter[str] = Counter()
        self.texts = 0

    def check(self, labels: Sequence[str]) -> bool:
        """Return True if all labels of a text are known; count it otherwise."""
        unseen = self._inventory.unseen(labels)
        self._labels.update(unseen)
        self.texts += bool(unseen)
        return not unseen

    def notice(self) -> str | None:
        """Return what there is to tell, or None."""
        if not self.texts:
            return None
        names = quoted_labels(label for label, _ in self._labels.most_common())
        return (
            f"{self._name}: {format_count(self.texts, 'text')} with a label that the training text "
            f"lacks left out: {names}"
        )
