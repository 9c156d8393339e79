"""The faults, as data: a file of `faults/` for each room.

A room's file names the tests that must notice its faults (`tests`), and then one fault after
another: the file, the text that is replaced (`old`, which must stand there exactly once), what it
is replaced with (`new`) and what goes wrong (`wrong`). A fault may name tests of its own, and one
that changes nothing says why (`equivalent`).
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "faults"


class StaleFaultError(ValueError):
    """A fault that does not fit the code any more."""


@dataclass(frozen=True)
class Fault:
    """One replaced text, and the tests that must fail with it."""

    room: str
    file: str
    old: str
    new: str
    wrong: str
    tests: tuple[str, ...]
    equivalent: str | None = None  # why no test can notice it

    def apply(self, text: str) -> str:
        """The file's text with the fault in it. Raises StaleFaultError."""
        count = text.count(self.old)
        if count != 1:
            raise StaleFaultError(f"{self.room}: {self.old!r} stands {count} times in {self.file}")
        return text.replace(self.old, self.new)


def read_room(path: Path) -> list[Fault]:
    """The faults of one room's file."""
    room: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    usual = room["tests"]
    return [
        Fault(path.stem, **{**entry, "tests": tuple(entry.get("tests", usual))})
        for entry in room["fault"]
    ]


def read_rooms() -> dict[str, list[Fault]]:
    """All faults, by room."""
    return {path.stem: read_room(path) for path in sorted(FOLDER.glob("*.toml"))}
