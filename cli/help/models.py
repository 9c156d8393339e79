"""Models that a name's beginning may mean: folders that hold some, and the hub's cache."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_MARKS = ("run.json", "config.json")  # of a training run, and of a model
_MOST = 500  # entries of a folder that are looked at
_DEPTH = 2  # folders between a name that is shown and a model


def model_folders(word: str) -> list[tuple[str, bool]]:
    """Return names that begin with a word, and True for folders.

    A folder is there if it is a model or a run, or holds one. The hub's are named owner/name.
    """
    parent, slash, start = word.rpartition("/")
    shown = parent + slash
    folder = os.path.expanduser(shown) or "."  # noqa: PTH111 (a Path would lose "./")
    names = [
        (shown + entry.name, True)
        for entry in _subfolders(folder)
        if entry.name.startswith(start)
        and (start.startswith(".") or not entry.name.startswith("."))
        and _holds_model(entry, _DEPTH)
    ]
    return [*sorted(names), *((name, False) for name in _cached_names() if name.startswith(word))]


def _subfolders(folder: "str | os.DirEntry[str]") -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in islice(entries, _MOST) if entry.is_dir()]
    except OSError:
        return []


def _holds_model(folder: "os.DirEntry[str]", depth: int) -> bool:
    if any(Path(folder.path, mark).is_file() for mark in _MARKS):
        return True
    return depth > 0 and any(_holds_model(inner, depth - 1) for inner in _subfolders(folder))


def _cached_names() -> Iterator[str]:
    """Yield the names of the models in the hub's cache."""
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    cache = os.environ.get("HF_HUB_CACHE") or f"{home}/hub"
    for entry in sorted(_subfolders(str(Path(cache).expanduser())), key=lambda each: each.name):
        kind, *parts = entry.name.split("--")
        if kind == "models" and parts:
            yield "/".join(parts)
