"""Copies of texts that can be read only once, such as those of pipes."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from .sources import SpooledPath, is_rereadable, open_raw


class Spool:
    """A temporary folder of copies, below `folder`, which goes with its context."""

    def __init__(self, folder: Path) -> None:
        self._parent = folder
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._copies: dict[str, SpooledPath] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()
        self._folder, self._copies = None, {}

    def paths(self, names: Sequence[str]) -> list[str]:
        """Return names that can be read again and again. Raises OSError."""
        return [name if is_rereadable(name) else self._copied(name) for name in names]

    def _copied(self, name: str) -> SpooledPath:
        """Return a name with a copy of all that it gives; the same name is read once."""
        if name not in self._copies:
            if self._folder is None:  # as temporary files are called, which the next run removes
                self._folder = tempfile.TemporaryDirectory(
                    prefix=".spool-", suffix=".tmp", dir=self._parent
                )
            copy = Path(self._folder.name) / str(len(self._copies))
            with open_raw(name) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            self._copies[name] = SpooledPath(name, copy)
        return self._copies[name]
