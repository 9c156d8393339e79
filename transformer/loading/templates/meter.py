"""What a template may use up: one budget for work, memory and output.

Every operation spends before it begins, about a unit for each byte that it reads or makes, so what
is in memory at once is bounded too. Counting rather than a clock: a text's answer does not depend
on the machine.
"""

from collections import deque
from collections.abc import ItemsView, Iterable, KeysView, Sized, ValuesView
from operator import length_hint
from typing import Any

from jinja2 import Undefined
from jinja2.runtime import Context

STEP = 20  # units that an operation takes whatever its size: some 2 µs
SLOT = 16  # units of a place in a list
MAX_DEPTH = 100  # of values in values
METER = "\0meter"  # in a template's context, where no name can reach it
MAX_BITS = 4096  # of a whole number


class RunawayError(Exception):
    """More than a template may use up."""


class Meter:
    """What is left of a budget."""

    def __init__(self, budget: int) -> None:
        self.left = budget

    def spend(self, units: int = 0) -> None:
        """Take units for an operation. Raises RunawayError when there are none left."""
        self.left -= STEP + max(0, units)
        if self.left < 0:
            raise RunawayError("does more work than conversations need")

    def weigh(self, value: Any, *, times: int = 1) -> int:
        """Spend for a look at all of a value, as often as it is looked at; returns the units.

        A value that is in another twice is counted twice, for so it is compared and written.
        Raises RunawayError for what is no data: its text would say how this program is made.
        """
        before = self.left
        level: Iterable[Any] = (value,)
        for _ in range(MAX_DEPTH):
            deeper: deque[Any] = deque()
            for item in level:
                self._weigh_one(item, deeper, times)
            if not deeper:
                return before - self.left
            level = deeper
        raise RunawayError(f"puts values in values more than {MAX_DEPTH} deep")

    def _weigh_one(self, item: Any, deeper: "deque[Any]", times: int) -> None:
        if isinstance(item, str):
            self.spend(len(item) * times)
        elif isinstance(item, int):
            self.spend((SLOT + item.bit_length()) * times)
        elif item is None or isinstance(item, float | Undefined):
            self.spend(SLOT * times)
        elif isinstance(item, list | tuple | range | KeysView | ValuesView | ItemsView):
            self.spend(SLOT * len(item) * times)
            deeper.extend(item)
        elif isinstance(item, dict):
            self.spend(SLOT * len(item) * times)
            deeper.extend(item.keys())
            deeper.extend(item.values())
        else:
            raise RunawayError(f"takes a {type(item).__name__} for data")

    def text(self, value: Any) -> str:
        """A value as text."""
        if not isinstance(value, str):
            self.weigh(value)
            value = str(value)
        self.spend(len(value))
        return str(value)

    def items(self, values: Any) -> list[Any]:
        """What is in a value, as a list."""
        self.spend(SLOT * size(values))
        return list(values)


def size(value: Any) -> int:
    """How many things a value holds; what cannot say so is no value of a template's."""
    return len(value) if isinstance(value, Sized) else length_hint(value, 0)


def whole(number: Any) -> Any:
    """A number that is not too large to compute with."""
    if isinstance(number, int) and number.bit_length() > MAX_BITS:
        raise RunawayError(f"computes with numbers of more than {MAX_BITS:,} bits")
    return number


def meter_of(context: Context) -> Meter:
    """The meter of what is rendered."""
    meter = context.parent[METER]
    assert isinstance(meter, Meter)
    return meter
