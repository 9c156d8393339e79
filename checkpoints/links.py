"""Links in folders of strangers: none may lead out."""

import os
from collections.abc import Iterable
from pathlib import Path

from .errors import CheckpointError


def is_inside(folder: Path, name: str) -> bool:
    """Whether a name stays in a folder, through whatever links there are; a hub cache's lead to
    the blobs beside its snapshots."""
    if "\0" in name or any(len(os.fsencode(part)) > 255 for part in Path(name).parts):
        return False
    home = folder.resolve()
    store = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
    try:
        real = (folder / name).resolve()
    except (OSError, RuntimeError):  # links in a circle
        return True
    return real.is_relative_to(home) or real.parent == store


def refuse_links_out(folder: Path, names: Iterable[str]) -> None:
    """Raise CheckpointError for files of a folder that are links to somewhere else."""
    for name in names:
        if not is_inside(folder, name):
            raise CheckpointError(
                f"{folder / name} is a link that leads out of the folder; copy the file in"
            )
