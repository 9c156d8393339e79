"""The folder of a run: its checkpoints, the states to resume from, and the pointers to both.

A save writes the state, then the checkpoint if there is to be one, each as a whole folder, and the
pointers (`run.json`) last; only then are older ones removed. A state holds all that the run cannot
go on without, so it can make up for any other file that is lost.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from checkpoints import CheckpointError, read_json, remove_leftovers, to_json, write_folder

from ..config import TransformerConfig
from ..config_fields import config_from_fields, config_to_fields
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


def save_state(
    run: Path,
    progress: Progress,
    *,
    keep: int,
    config: TransformerConfig,
    write_state: Callable[[Path], None],
    write_model: Callable[[Path], None] | None,
) -> Path | None:
    """Write the state to resume from, and a checkpoint by `write_model`; return its folder.

    The state before it remains too. Of older checkpoints, the last `keep` remain, and the best and
    the last of both states.
    """
    state = run / STATES / step_name(progress.step)
    checkpoint = None if write_model is None else checkpoint_folder(run, progress.step)
    if checkpoint is not None:
        progress.checkpoint_step = progress.step

    def write_progress(folder: Path) -> None:
        write_state(folder)
        texts = {CONFIG: config_to_fields(config), STATE: msgspec.to_builtins(progress)}
        for name, fields in texts.items():
            (folder / name).write_text(to_json(fields), encoding="utf-8")

    write_folder(state, write_progress)
    if checkpoint is not None and write_model is not None:
        write_folder(checkpoint, write_model)
    point_to(run, progress)
    _tidy(run, progress, keep)
    return checkpoint


def point_to(run: Path, progress: Progress) -> None:
    """Make the run's pointers those of its progress."""
    write_pointers(run, pointers_of(progress))


def pointers_of(progress: Progress) -> RunPointers:
    """Return the pointers that belong to a progress."""
    last, best = progress.checkpoint_step, progress.best_step
    return RunPointers(
        best=None if best is None else f"{CHECKPOINTS}/{step_name(best)}",
        last=None if last is None else f"{CHECKPOINTS}/{step_name(last)}",
        state=f"{STATES}/{step_name(progress.step)}",
    )


def read_progress(state: Path) -> Progress:
    """Return the progress that a state holds. Raises CheckpointError."""
    try:
        fields = read_json(state / STATE)  # one of an older version always has a checkpoint
        return msgspec.convert({"checkpoint_step": fields.get("step"), **fields}, Progress)
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
    kept = {progress.best_step, progress.checkpoint_step}
    for state in states[1:]:
        try:
            before = read_progress(state)
        except CheckpointError:
            states.remove(state)  # nothing could resume from it
            continue
        kept.add(before.best_step)
        if before.checkpoint_step != before.step:  # which could be written again from the state
            kept.add(before.checkpoint_step)
    names = {step_name(step) for step in kept if step is not None}
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
