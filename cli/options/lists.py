"""Options of the commands that list what is in a folder."""

import errno
from pathlib import Path
from typing import Annotated

import typer

from .groups import option


def _checked_folder(folder: Path) -> Path:
    """Return a folder to look into. Raises OSError for what is none."""
    if not folder.is_dir():
        reason = "is no folder" if folder.exists() else "there is no such folder"
        raise NotADirectoryError(errno.ENOTDIR, reason, str(folder))
    return folder


ListedFolder = Annotated[
    Path,
    typer.Argument(
        metavar="[FOLDER]",
        help="Folder to look into, and below it. Default: the present one.",
        callback=_checked_folder,
    ),
]
ListAsJson = Annotated[
    bool,
    option("--json", "Write a JSON object for each, with all that is known.", panel="Output"),
]
