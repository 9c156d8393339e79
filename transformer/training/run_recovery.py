"""Resuming of a run: the state to go on from, and what a killed or damaged run needs mended."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from checkpoints import (
    MANIFEST,
    CheckpointError,
    verify_checksums,
    write_file,
    write_folder,
)

from ..folder_layout import INITIAL, checkpoint_folders, step_of
from ..loading import RunPointers, read_pointers
from .metrics import METRICS, read_validation
from .prepared_folder import TOKENIZER
from .progress import Progress
from .run_folder import (
    checkpoint_folder,
    point_to,
    pointers_of,
    read_progress,
    remove,
    remove_newer,
    state_folders,
)
from .run_recipe import recipe_notice
from .selection import logged_key


class SavedState(NamedTuple):
    """A whole state of a run."""

    folder: Path
    progress: Progress
    pointers: RunPointers | None  # that the run has; None: they are lost
    notices: list[str]  # what is wrong with newer ones


def find_state(run: Path) -> SavedState:
    """Return the state to resume from: the one that the run points to, or the newest whole one.

    Raises CheckpointError, with a way to go on, if there is none.
    """
    states, pointers, problems = state_folders(run), None, []
    try:
        pointers = read_pointers(run)
    except CheckpointError as error:
        problems.append(str(error))
    if pointers is not None and pointers.state is not None:
        named = run / pointers.state  # newer ones are of a save that was cut short
        older = [state for state in states if step_of(state) < step_of(named)]
        states = [named, *older, *(state for state in states if step_of(state) > step_of(named))]
    for state in states:
        try:
            _verify(state)
            progress = read_progress(state)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        notices = [f"{problem}: going on from step {progress.step:,}" for problem in problems]
        return SavedState(state, progress, pointers, notices)
    problem = problems[-1] if problems else f"{run} has none"
    raise CheckpointError(
        f"there is no whole state to resume from ({problem}); begin another run, from these "
        f"weights with --init {_newest_checkpoint(run)}"
    )


def _newest_checkpoint(run: Path) -> str:
    checkpoints = checkpoint_folders(run)
    return str(checkpoints[-1]) if checkpoints else "MODEL"


def restore_files(run: Path, state: SavedState) -> Iterator[str]:
    """Restore the run's files that its state has too; yield notices."""
    yield from state.notices
    if notice := recipe_notice(run):
        yield notice
    if notice := _restore_file(_tokenizer_copy(run, state), run / TOKENIZER):
        yield notice
    if (state.folder / INITIAL).is_dir():
        yield from _restore_folder(state.folder / INITIAL, run / INITIAL)


def _tokenizer_copy(run: Path, state: SavedState) -> Path | None:
    """Return the file with a copy of the run's tokenizer: the state's, or its checkpoint's.

    A state of an older version has none; None if its checkpoint is damaged, too.
    """
    if (state.folder / TOKENIZER).is_file():
        return state.folder / TOKENIZER
    checkpoint = checkpoint_folder(run, state.progress.step)
    return None if _problem(checkpoint) else checkpoint / TOKENIZER


def _restore_file(saved: Path | None, path: Path) -> str | None:
    """Write a file of the run again if it is not as saved; return a notice if so."""
    if saved is None or not saved.is_file():
        return None
    if path.is_file() and path.read_bytes() == saved.read_bytes():
        return None
    write_file(path, saved.read_text(encoding="utf-8"))
    return _written_again(path)


def _written_again(path: Path) -> str:
    return f"{path} was missing, changed or damaged: it is written again as it was saved"


def _restore_folder(saved: Path, folder: Path) -> Iterator[str]:
    """Write those files of a run's subfolder again that are not as saved; yield notices."""
    names = {path.relative_to(saved) for path in saved.rglob("*") if path.is_file()}
    for name in sorted(names):
        path = folder / name
        if not path.is_file() or path.read_bytes() != (saved / name).read_bytes():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(saved / name, path)
            yield _written_again(path)


def mend(
    run: Path, state: SavedState, write_model: Callable[[Path], None], *, metric: str
) -> Iterator[str]:
    """Make the run's checkpoints and pointers those of a state, and remove what is newer.

    `write_model` writes the model of the state; `metric` decides which checkpoint is best. Yields
    notices.
    """
    progress, step = state.progress, state.progress.step
    yield from _mend_last(run, progress, write_model)
    if problem := _mend_best(run, progress, metric):
        progress.forget_best()
        yield (
            f"{problem}: the best checkpoint is not known any more, and the next validation counts "
            "as the best"
        )
    if state.pointers != pointers_of(progress):
        point_to(run, progress)
    remove_newer(run, step)


def _mend_last(run: Path, progress: Progress, write_model: Callable[[Path], None]) -> Iterator[str]:
    """Write the last checkpoint again if it is not whole; yield a notice."""
    step, last = progress.step, progress.checkpoint_step
    if last is None or not (problem := _problem(checkpoint_folder(run, last))):
        return
    remove(checkpoint_folder(run, last))
    write_folder(checkpoint_folder(run, step), write_model)
    progress.checkpoint_step = step
    again = "it is written again" if last == step else f"that of step {step:,} is written"
    yield f"{problem}: {again} from the state"


def _mend_best(run: Path, progress: Progress, metric: str) -> str | None:
    """Give the best checkpoint of an older version its rank; return why it cannot be kept."""
    best = progress.best_step
    if best is None:
        return None
    folder = checkpoint_folder(run, best)
    if best != progress.step and (problem := _problem(folder)):
        return problem
    if progress.is_of_older_version:
        progress.best_key = logged_key(metric, read_validation(run, best))
        if progress.best_key is None:
            return f"{run / METRICS} has no scores of {folder}"
    return None


def _verify(folder: Path) -> None:
    """Raise CheckpointError unless a folder is whole."""
    if not (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder / MANIFEST if folder.is_dir() else folder} is missing")
    verify_checksums(folder)


def _problem(folder: Path) -> str | None:
    try:
        _verify(folder)
    except CheckpointError as error:
        return str(error)
    return None
