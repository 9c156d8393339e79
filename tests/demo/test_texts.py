"""The demo's texts: what is tested was never trained on."""

import re
import unicodedata
from itertools import islice
from pathlib import Path

from demo import character_names, dates
from demo.dates import SIZES


def test_no_date_stands_in_two_parts(tmp_path: Path) -> None:
    dates.write(tmp_path, {"train": 3000, "valid": 300, "test": 300})
    train, valid, test = (set((tmp_path / f"{part}.iso").read_text().split()) for part in SIZES)
    assert len(train) > 2500
    assert len(valid) > 250
    assert len(test) > 250
    assert train.isdisjoint(valid | test)
    assert valid.isdisjoint(test)


def test_every_phrasing_says_its_date() -> None:
    for phrase, iso in islice(dates.pairs("train"), 500):
        year, month, day = iso.split("-")
        numbers = [int(n) for n in re.findall(r"\d+", phrase)]
        assert int(year) in numbers
        assert int(day) in numbers
        assert int(month) in numbers or re.search("[A-Za-z]{3}", phrase)


def test_ordinals() -> None:
    assert [dates.ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30, 31)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "30th", "31st",
    ]  # fmt: skip


def test_each_name_is_a_characters_and_stands_in_one_part(tmp_path: Path) -> None:
    character_names.write(tmp_path)
    parts = {
        part: (tmp_path / f"{part}.txt").read_text().splitlines() for part in ("train", "valid")
    }
    names = [name for lines in parts.values() for name in lines]
    assert len(names) == len({*names}) > 27_000
    assert len(parts["valid"]) == round(0.05 * len(names))
    assert all(unicodedata.lookup(name) for name in parts["valid"])
    assert {*"".join(names)} <= {*"ABCDEFGHIJKLMNOPQRSTUVWXYZ -"}
    assert "LATIN SMALL LETTER A" in names
    assert not any(name.startswith("HANGUL SYLLABLE") for name in names)


def test_names_begin_as_the_demo_begins_them(tmp_path: Path) -> None:
    names = character_names.character_names()
    for beginning in character_names.BEGINNINGS:
        assert sum(name.startswith(f"{beginning} ") for name in names) > 1
