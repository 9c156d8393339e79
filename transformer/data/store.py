"""Token ids on disk: one flat file and the offsets of its rows, both memory-mapped."""

from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint32] | NDArray[np.uint16]


class TokenWriter:
    """Writer of rows of ids, one after another; nothing is kept in memory."""

    def __init__(self, folder: Path, *, vocab_size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dtype = np.uint16 if vocab_size <= 1 << 16 else np.uint32
        self._ids = (folder / f"ids.{np.dtype(self._dtype).name}").open("wb")
        self._offsets = (folder / "offsets.int64").open("wb")
        self._total = 0
        self._offsets.write(np.int64(0).tobytes())

    @property
    def total(self) -> int:
        """The number of ids so far."""
        return self._total

    def write(self, rows: Iterable[Sequence[int]]) -> None:
        """Append rows."""
        for row in rows:
            self._ids.write(np.asarray(row, dtype=self._dtype).tobytes())
            self._total += len(row)
            self._offsets.write(np.int64(self._total).tobytes())

    def __enter__(self) -> "TokenWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ids.close()
        self._offsets.close()


class TokenStore:
    """Rows of ids that a TokenWriter wrote, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        (path,) = folder.glob("ids.*")
        self.ids: Ids = _map(path, np.dtype(path.suffix[1:]))
        self.offsets: NDArray[np.int64] = _map(folder / "offsets.int64", np.dtype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ids:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def rows(self, first: int, end: int) -> "TokenStore":
        """Return a view of the rows from one on to before another."""
        view = copy(self)
        view.offsets = self.offsets[first : end + 1]
        return view

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of ids in each row."""
        return np.diff(self.offsets)


def _map(path: Path, dtype: np.dtype) -> NDArray:  # type: ignore[type-arg]
    """Map a file; an empty one, which cannot be mapped, becomes an empty array."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")
