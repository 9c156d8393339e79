"""Search of folders for models and runs, within limits; torch-free, for completion and options ask.

A folder may hold millions of others, or stand on a slow disk: a search that is cut knows it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

_MARKS = ("run.json", "config.json")  # of a training run, and of a model


class FolderSearch:
    """A search that ends after a number of folders or a time; `cut` says which of them then.

    Files cost only time: a folder with many of them hides no folder behind it.
    """

    def __init__(self, *, entries: int = 20_000, seconds: float = 10.0) -> None:
        self.cut = ""  # "folders", "time", or what else ended it
        self._entries = entries
        self._end = time.monotonic() + seconds

    @property
    def is_cut(self) -> bool:
        """True if there may be more than was found."""
        return bool(self.cut)

    def subfolders(self, folder: "str | os.PathLike[str]") -> "list[os.DirEntry[str]]":
        """Return the folders in a folder, links to some included, by name; none if it is unread."""
        if self._is_spent():
            return []
        inner: list[os.DirEntry[str]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = _is_folder(entry)
                    if (is_folder or time.monotonic() > self._end) and self._is_spent():
                        break
                    if is_folder:
                        inner.append(entry)
                        self._entries -= 1
        except OSError:
            return []
        return sorted(inner, key=lambda each: each.name)

    def holds_model(self, folder: "str | os.PathLike[str]", depth: int) -> bool:
        """Return True for a model or a run, or a folder with one, `depth` folders below at most."""
        if any(Path(folder, mark).is_file() for mark in _MARKS):
            return True
        return depth > 0 and any(
            self.holds_model(inner, depth - 1) for inner in self.subfolders(folder)
        )

    def _is_spent(self) -> bool:
        """Return True after the last folder or moment, and note it."""
        late = time.monotonic() > self._end
        if late or self._entries <= 0:
            self.cut = self.cut or ("time" if late else "folders")
            return True
        return False


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def hub_cache() -> Path:
    """Return the folder in which the Hugging Face hub's models are kept."""
    from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415  (3 ms)

    return Path(HF_HUB_CACHE).expanduser()


def cached_names(search: FolderSearch) -> Iterator[str]:
    """Yield the names of the models in the hub's cache, as owner/name."""
    for entry in search.subfolders(hub_cache()):
        kind, *parts = entry.name.split("--")
        if kind == "models" and parts:
            yield "/".join(parts)
