"""The names of Unicode's characters, which every Python carries: short, regular texts.

    python demo/character_names.py FOLDER

writes train.txt and valid.txt, a name on each line, each in one of them, and beginnings.txt. Names
that are made by rule, of a number or of Korean sounds, are left out.
"""

import random
import re
import sys
import unicodedata
from pathlib import Path

BEGINNINGS = (
    "LATIN SMALL LETTER",
    "GREEK SMALL LETTER",
    "ARABIC LETTER",
    "LEFTWARDS ARROW",
    "MATHEMATICAL BOLD",
    "WHITE",
)
BY_RULE = re.compile(r"\d|^HANGUL SYLLABLE ")
HELD_OUT = 0.05  # the share of names that are not trained on


def character_names() -> list[str]:
    """Return the names of characters, in alphabetical order."""
    every = (unicodedata.name(chr(code), "") for code in range(sys.maxunicode + 1))
    return sorted(name for name in every if name and not BY_RULE.search(name))


def split(names: list[str]) -> dict[str, list[str]]:
    """Return names by the file that they go to, in random order, always the same."""
    shuffled = random.Random(1).sample(names, len(names))
    count = round(len(names) * HELD_OUT)
    return {"valid": shuffled[:count], "train": shuffled[count:]}


def write(folder: Path) -> None:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, names in {**split(character_names()), "beginnings": BEGINNINGS}.items():
        text = "".join(f"{name}\n" for name in names)
        (folder / f"{part}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
