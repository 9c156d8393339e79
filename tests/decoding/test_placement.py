"""Places of rows in caches: the same rows as if they were gathered in order, with fewer copies."""

import random

import pytest

from transformer.decoding.steppers.placement import Placement


class Places:
    """A cache of texts, which are gathered and appended as tensors are."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.copies = 0

    def gather(self, places: list[int]) -> None:
        self.copies += sum(place != source for place, source in enumerate(places))
        self.texts = [self.texts[source] for source in places]


@pytest.mark.parametrize("size", [1, 3])
def test_rows_are_those_of_a_search_whatever_comes_and_goes(size: int) -> None:
    drawn = random.Random(0)
    wanted, cache, placement = list[str](), Places(), Placement()
    for step in range(200):
        entries = list(range(len(wanted) // size))
        kept = [entry for entry in entries if drawn.random() > 0.1]
        if kept:
            rows = [entry * size + drawn.randrange(size) for entry in kept for _ in range(size)]
            wanted = [wanted[row] for row in rows]
            places = placement.reorder(rows, size)
            cache.gather(places)
            of_entries = [
                {p // size for p in places[i : i + size]} for i in range(0, len(places), size)
            ]
            assert all(len(each) == 1 for each in of_entries)
        else:
            wanted, cache.texts = [], []
            placement.clear()
        new = [f"{step} {n}" for n in range(size * drawn.randrange(3))]
        wanted += new
        cache.texts += new
        placement.append(len(new), size)
        assert [cache.texts[place] for place in placement.places] == wanted
        assert placement.by_place(wanted) == cache.texts
        if placement.is_identity:
            assert cache.texts == wanted


def test_rows_of_another_width_are_in_order() -> None:
    placement = Placement()
    placement.append(3, 1)
    assert placement.reorder([2, 0], 1) == [0, 2]
    assert placement.reorder([0, 0, 1, 1], 2) == [1, 1, 0, 0]
    assert placement.is_identity


@pytest.mark.parametrize(
    ("rows", "copies"),
    [([4, 5, 6, 7, 8, 9], 4), ([1, 0, 3, 2, 5, 4], 0), ([0, 1, 2, 2, 4, 5], 1)],
    ids=["the first text has ended", "beams change places", "one beam is dropped"],
)
def test_rows_that_go_on_are_not_copied(rows: list[int], copies: int) -> None:
    cache, placement = Places(), Placement()
    cache.texts = list("abcdefghij")
    placement.append(10, 2)
    before = list(cache.texts)
    cache.gather(placement.reorder(rows, 2))
    assert [cache.texts[place] for place in placement.places] == [before[row] for row in rows]
    assert cache.copies == copies
