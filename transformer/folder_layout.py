"""Names in the folders of runs and models, by which these are told; torch-free, for outputs ask.

The folder of a step is named by its number alone: `step-mean` is a user's own.
"""

from collections.abc import Iterable
from pathlib import Path

RUN, LOCK, RECIPE = "run.json", "run.lock", "recipe.toml"
CHECKPOINTS, STATES, DATA = "checkpoints", "training", "data"  # folders that a run writes in
INITIAL = "initial"  # with the files of the model that training started from, weights aside


def step_name(step: int) -> str:
    """Return the name of a step's checkpoint or state."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int:
    """Return the step of a checkpoint or a state; -1 for a folder with another name."""
    number = folder.name.partition("-")[2]
    step = int(number) if number.isascii() and number.isdecimal() else -1
    return step if folder.name == step_name(step) else -1


def checkpoint_folders(run: Path) -> list[Path]:
    """Return the folders of the run's checkpoints, the oldest first."""
    return step_folders(run / CHECKPOINTS)


def step_folders(folder: Path) -> list[Path]:
    """Return the folders of steps, the oldest first; not a user's copies by other names."""
    return sorted((path for path in folder.glob("step-*") if step_of(path) >= 0), key=step_of)


def has_saves(folder: Path) -> bool:
    """Return True for a folder with anything that a run has saved."""
    parts = (folder / CHECKPOINTS, folder / STATES)
    return has_any(folder, [RUN]) or any(step_folders(part) for part in parts)


def is_run(folder: Path) -> bool:
    """Return True for a folder in which a run was begun, whether it has saved anything or not."""
    return has_any(folder, [LOCK]) or has_saves(folder)


def unsaved_run_message(path: Path) -> str | None:
    """Return what a run that has saved nothing is told to be; None for any other folder."""
    if has_saves(path) or not is_run(path):
        return None
    way = "what began it begins it again"
    if (path / RECIPE).is_file():
        way = f"go on with transduce train --resume -o {path}"
    return f"{path} is a run that has saved nothing yet: {way}"


def run_of_model(path: Path) -> Path | None:
    """Return the run that a model belongs to: its folder, or that of one of its checkpoints."""
    if has_saves(path):
        return path
    folder = path.absolute()
    if folder.parent.name == CHECKPOINTS and is_run(folder.parents[1]):
        return path.parents[1] if len(path.parents) > 1 else folder.parents[1]
    return None


def has_any(folder: Path, patterns: Iterable[str]) -> bool:
    """Return True for a folder with a file by one of the patterns, as far as it can be read."""
    return any(next(folder.glob(pattern), None) is not None for pattern in patterns)
