"""Places of a search's rows in caches: rows that go on stay where they are, if they can.

A search keeps its rows in order, and drops some at almost every step. If caches kept that order,
all rows behind a dropped one would be copied; so would beams that change places.
"""

from collections.abc import Sequence


class Placement:
    """The place of each row in a cache. Rows of one source, `rows_per_entry`, stay side by side."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.is_identity = True  # row r is in place r
        self.rows_per_entry = 1

    def append(self, rows: int, rows_per_entry: int) -> None:
        """Append rows in their order, as caches do."""
        self.places += range(len(self.places), len(self.places) + rows)
        self.rows_per_entry = rows_per_entry

    def reorder(self, rows: Sequence[int], rows_per_entry: int) -> list[int]:
        """Let row r be row `rows[r]`; return what caches gather: for each place, a present one."""
        parents = [self.places[row] for row in rows]
        if rows_per_entry == self.rows_per_entry:
            self.places = _keep_places(parents, rows_per_entry)
        else:
            self.places = list(range(len(rows)))
        self.rows_per_entry = rows_per_entry
        self.is_identity = all(row == place for row, place in enumerate(self.places))
        gathered = [0] * len(rows)
        for place, parent in zip(self.places, parents, strict=True):
            gathered[place] = parent
        return gathered

    def by_place(self, values: Sequence[int]) -> list[int]:
        """Return values of rows in the order of their places."""
        found = list(values)
        for place, value in zip(self.places, values, strict=True):
            found[place] = value
        return found

    def clear(self) -> None:
        """Forget all rows."""
        self.places, self.is_identity = [], True


def _keep_places(parents: Sequence[int], size: int) -> list[int]:
    """Return places of rows, as many of which are their parent's as can be.

    Every `size` rows have parents in one entry, and places in one.

    >>> _keep_places([2, 3, 4], 1), _keep_places([5, 4, 5, 5, 0, 0], 2)
    ([2, 0, 1], [5, 4, 3, 2, 0, 1])
    """
    starts = _free_of_collisions([parent // size for parent in parents[::size]])
    places = []
    for number, start in enumerate(starts):
        of_entry = parents[number * size : (number + 1) * size]
        offsets = _free_of_collisions([parent % size for parent in of_entry])
        places += [start * size + offset for offset in offsets]
    return places


def _free_of_collisions(wanted: Sequence[int]) -> list[int]:
    """Return the numbers from 0 on in an order in which as many as can be are the wanted ones.

    >>> _free_of_collisions([1, 0, 1, 7])
    [1, 0, 2, 3]
    """
    if len(wanted) == 1:
        return [0]
    free = dict.fromkeys(range(len(wanted)))
    found = []
    for number in wanted:
        is_free = number in free
        if is_free:
            del free[number]
        found.append(number if is_free else -1)
    rest = iter(free)
    return [next(rest) if number < 0 else number for number in found]
