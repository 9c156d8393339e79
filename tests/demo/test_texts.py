"""The demo's texts: what is tested was never trained on."""

import os
import re
from itertools import islice
from pathlib import Path

from demo import dates, docstrings


def test_no_date_of_the_test_is_in_the_training_text(tmp_path: Path) -> None:
    dates.write(tmp_path, train=3000, test=300)
    train, test = (
        set((tmp_path / f"{part}.iso").read_text().split()) for part in ("train", "test")
    )
    assert len(train) > 2500
    assert len(test) > 250
    assert not train & test


def test_every_phrasing_says_its_date() -> None:
    for phrase, iso in islice(dates.pairs(seed=1, test=False), 500):
        year, month, day = iso.split("-")
        numbers = [int(n) for n in re.findall(r"\d+", phrase)]
        assert int(year) in numbers
        assert int(day) in numbers
        assert int(month) in numbers or re.search("[A-Za-z]{3}", phrase)


def test_ordinals() -> None:
    assert [dates.ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30, 31)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "30th", "31st",
    ]  # fmt: skip


def test_docstrings_are_found_where_python_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f'"""{"A long sentence. " * 6}"""\ndef f():\n    """Short."""\n')
    (tmp_path / "b.py").write_text("this is no Python")
    assert list(docstrings.docstrings(tmp_path)) == [("A long sentence. " * 6).strip()]
    assert any(docstrings.docstrings(Path(os.__file__).parent / "json"))
