"""Dates as people write them, and as ISO 8601 does: pairs to learn from, any number of them.

    python demo/dates.py FOLDER

writes train.en, train.iso, valid.en, valid.iso, test.en and test.iso. A date stands in one of the
three parts alone, in any number of phrasings.
"""

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
# Of twenty days that follow one another, the first is for the test, another for validation.
CYCLE, TEST_DAY, VALID_DAY = 20, 0, 10
SIZES = {"train": 40_000, "valid": 500, "test": 500}  # pairs


def ordinal(day: int) -> str:
    """Return a day as 1st, 2nd, 3rd, 4th …

    >>> [ordinal(day) for day in (1, 12, 23)]
    ['1st', '12th', '23rd']
    """
    if 10 <= day % 100 <= 20:
        return f"{day}th"
    return f"{day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th') }"


PHRASINGS: list[Callable[[date], str]] = [
    lambda d: f"the {ordinal(d.day)} of {d:%B}, {d.year}",
    lambda d: f"the {ordinal(d.day)} of {d:%B} {d.year}",
    lambda d: f"{d:%B} {ordinal(d.day)}, {d.year}",
    lambda d: f"{d:%B} {d.day}, {d.year}",
    lambda d: f"{d.day} {d:%B} {d.year}",
    lambda d: f"{d.day} {d:%b} {d.year}",
    lambda d: f"{d:%b} {d.day}, {d.year}",
    lambda d: f"{d:%b}. {ordinal(d.day)}, {d.year}",
    lambda d: f"{d:%A}, {d.day} {d:%B} {d.year}",
    lambda d: f"{d:%A}, {d:%B} {ordinal(d.day)}, {d.year}",
    lambda d: f"{d:%a} {d.day} {d:%b} {d.year}",
    lambda d: f"on {d:%A} the {ordinal(d.day)} of {d:%B}, {d.year}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{d:%d.%m.%Y}",
    lambda d: f"{d.year}, {d:%B} {d.day}",
    lambda d: f"in the year {d.year}, on {d:%B} the {ordinal(d.day)}",
]
CASES: list[Callable[[str], str]] = [str, str, str, str.lower, str.upper]


def part_of(number: int) -> str:
    """Return the part that a day is for, by its number."""
    return {TEST_DAY: "test", VALID_DAY: "valid"}.get(number % CYCLE, "train")


def pairs(part: str) -> Iterator[tuple[str, str]]:
    """Yield phrasings and their dates without end."""
    chance = random.Random(part)
    days = (LAST - FIRST).days + 1
    while True:
        number = chance.randrange(days)
        if part_of(number) == part:
            day = FIRST + timedelta(days=number)
            phrase = chance.choice(CASES)(chance.choice(PHRASINGS)(day))
            yield phrase, day.isoformat()


def write(folder: Path, sizes: Mapping[str, int] = SIZES) -> None:
    """Write the six files."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, size in sizes.items():
        rows = [*islice(pairs(part), size)]
        for suffix, column in (("en", 0), ("iso", 1)):
            text = "".join(f"{row[column]}\n" for row in rows)
            (folder / f"{part}.{suffix}").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
