"""Models that a name's beginning may mean: folders that hold some, and the hub's cache."""

import os
from typing import NamedTuple

from transformer.folder_search import FolderSearch, cached_names

_ENTRIES, _SECONDS = 5000, 0.08  # of folders that are looked at, and of time for that
_DEPTH = 2  # folders between a name that is shown and a model


class ModelNames(NamedTuple):
    """Names that begin with a word."""

    folders: list[str]  # that are a model or a run, or hold one
    cached: list[str]  # owner/name
    is_cut: bool  # there may be more


def model_names(word: str) -> ModelNames:
    """Return the names of models that begin with a word, as far as they are known soon."""
    parent, slash, start = word.rpartition("/")
    shown = parent + slash
    folder = os.path.expanduser(shown) or "."  # noqa: PTH111 (a Path would lose "./")
    search = FolderSearch(entries=_ENTRIES, seconds=_SECONDS)
    folders = [
        shown + entry.name
        for entry in search.subfolders(folder)
        if entry.name.startswith(start)
        and (start.startswith(".") or not entry.name.startswith("."))
        and search.holds_model(entry, _DEPTH)
    ]
    cached = [name for name in cached_names(search) if name.startswith(word)]
    return ModelNames(folders, cached, search.is_cut)
