"""Symbolic links in untrusted folders: none may point outside."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .errors import CheckpointError

_DEPTH = 2  # of folders below the snapshots: a model's, and one of its modules'


def is_inside(folder: Path, name: str) -> bool:
    """Return True if a name in a folder resolves to a path inside the folder.

    Links in a snapshot of the Hugging Face cache may also point to the blobs beside the snapshots.
    """
    if "\0" in name or any(len(os.fsencode(part)) > 255 for part in Path(name).parts):
        return False
    with suppress(OSError):
        if Path(name).name == name != ".." and not (folder / name).is_symlink():
            return True  # it lies where it is named, which takes less than to resolve it
    root = folder.resolve()
    snapshots = next((p for p in root.parents[:_DEPTH] if p.name == "snapshots"), None)
    blobs = root if snapshots is None else snapshots.parent / "blobs"
    try:
        target = (folder / name).resolve()
    except (OSError, RuntimeError):  # a circle of links, which leads nowhere
        return True
    return target.is_relative_to(root) or target.parent == blobs


def refuse_external_links(folder: Path, names: Iterable[str]) -> None:
    """Raise CheckpointError for files of a folder that are links to the outside."""
    for name in names:
        if not is_inside(folder, name):
            raise CheckpointError(
                f"{folder / name} is a link that leads out of the folder; copy the file in"
            )
