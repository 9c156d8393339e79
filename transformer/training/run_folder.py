"""The folder of a run: its checkpoints, the states to resume from, and the pointers to both.

A save writes the state, then the checkpoint, each as a whole folder, and the pointers (`run.json`)
last; only then are older ones removed. A state holds all that the run cannot go on without, so it
can make up for any other file that is lost.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from checkpoints import CheckpointError, read_json, remove_leftovers, to_json, write_folder

from ..config import TransformerConfig, config_from_fields, config_to_fields
from ..folder_layout import (
    CHECKPOINTS,
    STATES,
    checkpoint_folders,
    step_folders,
    step_name,
    step_of,
)
from ..loading import CONFIG, RunPointers, read_config, write_pointers
from .progress import Progress

STATE = "state.json"  # in a state's folder: the Progress


def create_run_folder(run: Path) -> None:
    """Create the folders that do not exist, and remove what a killed run left half-written."""
    for folder in (run, run / CHECKPOINTS, run / STATES):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)


def checkpoint_folder(run: Path, step: int) -> Path:
    """Return the folder of a step's checkpoint."""
    return run / CHECKPOINTS / step_name(step)


def state_folders(run: Path) -> list[Path]:
    """Return the folders of the run's states, the newest first."""
    return step_folders(run / STATES)[::-1]


def save_checkpoint(
    run: Path,
    progress: Progress,
    *,
    keep: int,
    config: TransformerConfig,
    write_model: Callable[[Path], None],
    write_state: Callable[[Path], None],
) -> Path:
    """Write a checkpoint and the state to resume from; return the checkpoint's folder.

    The state before it remains too. Of older checkpoints, the last `keep` remain, and the best of
    both states.
    """
    state = run / STATES / step_name(progress.step)

    def write_progress(folder: Path) -> None:
        write_state(folder)
        texts = {CONFIG: config_to_fields(config), STATE: msgspec.to_builtins(progress)}
        for name, fields in texts.items():
            (folder / name).write_text(to_json(fields), encoding="utf-8")

    write_folder(state, write_progress)
    write_folder(checkpoint_folder(run, progress.step), write_model)
    point_to(run, progress)
    _tidy(run, progress, keep)
    return checkpoint_folder(run, progress.step)


def point_to(run: Path, progress: Progress) -> None:
    """Make the run's pointers those of its progress."""
    write_pointers(run, pointers_of(progress))


def pointers_of(progress: Progress) -> RunPointers:
    """Return the pointers that belong to a progress."""
    name, best = step_name(progress.step), progress.best_step
    return RunPointers(
        best=None if best is None else f"{CHECKPOINTS}/{step_name(best)}",
        last=f"{CHECKPOINTS}/{name}",
        state=f"{STATES}/{name}",
    )


def read_progress(state: Path) -> Progress:
    """Return the progress that a state holds. Raises CheckpointError."""
    try:
        return msgspec.convert(read_json(state / STATE), Progress)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{state / STATE} is damaged: {error}") from None


def read_state_config(run: Path, state: Path, last: str | None) -> TransformerConfig:
    """Return the configuration of the network whose state it is. Raises CheckpointError."""
    if not (state / CONFIG).is_file() and last is not None:  # of an older version
        return read_config(run / last)
    return config_from_fields(read_json(state / CONFIG))


def remove_newer(run: Path, step: int) -> None:
    """Remove checkpoints and states that are newer than a step."""
    for folder in (run / CHECKPOINTS, run / STATES):
        for path in step_folders(folder):
            if step_of(path) > step:
                remove(path)


def _tidy(run: Path, progress: Progress, keep: int) -> None:
    """Remove older checkpoints and states than `save_checkpoint` keeps."""
    states = [path for path in state_folders(run) if step_of(path) <= progress.step][:2]
    bests = {progress.best_step}
    for state in states[1:]:
        try:
            bests.add(read_progress(state).best_step)
        except CheckpointError:
            states.remove(state)  # nothing could resume from it
    names = {step_name(step) for step in bests if step is not None}
    checkpoints = [path.name for path in checkpoint_folders(run)]
    _remove_others(run / CHECKPOINTS, {*checkpoints[-keep:], *names})
    _remove_others(run / STATES, {state.name for state in states})


def remove(folder: Path) -> None:
    """Remove a folder, if it is there, so that a kill leaves no half of it under its name."""
    if folder.exists():
        leftover = folder.with_name(f".{folder.name}.removed.tmp")
        shutil.rmtree(leftover, ignore_errors=True)
        folder.rename(leftover)
        shutil.rmtree(leftover)


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove the steps that are not named."""
    for path in step_folders(folder):
        if path.name not in names:
            remove(path)
