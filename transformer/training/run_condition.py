"""The condition of a run: damage that shows without reading weights, in a few words and in many."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError, verify_sizes

from ..errors import ConfigError
from ..folder_layout import RUN, checkpoint_folders, has_saves
from ..loading import RunPointers, read_pointers
from .run_folder import state_folders
from .run_recipe import RECIPE, read_run_fields


class Damage(NamedTuple):
    """A part of a run that is lost or cannot be read."""

    summary: str  # for a column
    reason: str  # a sentence


class RunFiles(NamedTuple):
    """The small files of a run, as far as they can be read, and what is wrong with the run."""

    recipe: dict[str, Any]
    pointers: RunPointers
    damages: list[Damage]


def read_run_files(run: Path, *, is_training: bool) -> RunFiles:
    """Read the recipe and the pointers of a run, and compare its folders with what was written.

    The folders of a run in training come and go, so these are not compared.
    """
    damages: list[Damage] = []
    recipe: dict[str, Any] = {}
    try:
        recipe = read_run_fields(run)
        if not recipe and has_saves(run):
            damages.append(Damage(f"{RECIPE} is missing", f"the run {run} has lost its {RECIPE}"))
    except (ConfigError, OSError) as error:
        damages.append(Damage(_unreadable(RECIPE, error), str(error)))
    pointers = RunPointers()
    try:
        pointers = read_pointers(run)
    except (CheckpointError, OSError) as error:
        if state_folders(run) or checkpoint_folders(run):  # else nothing was saved yet
            damages.append(Damage(_unreadable(RUN, error, run / RUN), str(error)))
    if not is_training:
        damages += _damaged_folders(run, pointers)
    return RunFiles(recipe, pointers, damages)


def _unreadable(name: str, error: Exception, path: Path | None = None) -> str:
    if isinstance(error, OSError):
        return f"{name} cannot be read"
    return f"{name} is missing" if path is not None and not path.exists() else f"{name} is damaged"


def _damaged_folders(run: Path, pointers: RunPointers) -> Iterator[Damage]:
    """Yield the checkpoints and states that are named or there, and are not whole."""
    named = (pointers.best, pointers.last, pointers.state)
    folders = {run / name: None for name in named if name is not None}
    folders |= dict.fromkeys([*checkpoint_folders(run), *state_folders(run)])
    for folder in folders:
        name = folder.relative_to(run).as_posix()
        if not folder.is_dir():
            yield Damage(f"{name} is missing", f"the folder {folder} is missing")
            continue
        try:
            verify_sizes(folder)
        except (CheckpointError, OSError) as error:
            yield Damage(f"{name} is damaged", str(error))
