"""The folder of a run: its checkpoints, the state to resume from, and the pointers to both.

Checkpoints and states are written as whole folders, and the pointers (`run.json`) last, so that a
run killed at any moment can be resumed.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from checkpoints import (
    read_json,
    remove_leftovers,
    to_json,
    verify_checksums,
    write_file,
    write_folder,
)

from ..config import TransformerConfig
from ..loading import RUN, read_config
from .progress import Progress

STATE = "state.json"  # in a state's folder: the Progress
CHECKPOINTS, STATES = "checkpoints", "training"


def create_run_folder(run: Path) -> None:
    """Create the folders that do not exist, and remove what a killed run left half-written."""
    for folder in (run, run / CHECKPOINTS, run / STATES):
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)


def save_checkpoint(
    run: Path,
    progress: Progress,
    *,
    keep: int,
    write_model: Callable[[Path], None],
    write_state: Callable[[Path], None],
) -> Path:
    """Write a checkpoint and the state to resume from; return the checkpoint's folder.

    Of older ones, the best checkpoint and the last `keep` remain, and no state.
    """
    name = _step_name(progress.step)

    def write_progress(folder: Path) -> None:
        write_state(folder)
        (folder / STATE).write_text(to_json(msgspec.to_builtins(progress)))

    write_folder(run / CHECKPOINTS / name, write_model)
    write_folder(run / STATES / name, write_progress)
    best = None if progress.best_step is None else _step_name(progress.best_step)
    pointers = {
        "best": None if best is None else f"{CHECKPOINTS}/{best}",
        "last": f"{CHECKPOINTS}/{name}",
        "state": f"{STATES}/{name}",
    }
    write_file(run / RUN, to_json(pointers))
    newest = sorted(path.name for path in (run / CHECKPOINTS).glob("step-*"))[-keep:]
    _remove_others(run / CHECKPOINTS, {*newest, best})
    _remove_others(run / STATES, {name})
    return run / CHECKPOINTS / name


def read_state(run: Path) -> tuple[Progress, Path]:
    """Return the progress of a saved run and the folder of its state, whose checksums are verified.

    Raises CheckpointError for a damaged one.
    """
    folder = run / read_json(run / RUN)["state"]
    verify_checksums(folder)
    return msgspec.convert(read_json(folder / STATE), Progress), folder


def read_last_config(run: Path) -> TransformerConfig:
    """Return the configuration of a saved run's last checkpoint."""
    return read_config(run / read_json(run / RUN)["last"])


def _step_name(step: int) -> str:
    return f"step-{step:08d}"


def _remove_others(folder: Path, names: set[str | None]) -> None:
    """Remove the steps that are not named."""
    for path in folder.glob("step-*"):
        if path.name not in names:
            shutil.rmtree(path)
