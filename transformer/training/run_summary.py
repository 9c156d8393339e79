"""Summaries of runs, from the small files in their folders: no weights and no text are read."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError

from ..folder_layout import LOCK, has_saves, is_run, run_of_model, step_of
from ..folder_search import FolderSearch
from .metrics import METRICS, read_validation
from .run_condition import read_run_files
from .run_folder import read_progress, state_folders

_TRAINING_FILES = ("source", "target", "pairs", "text", "conversations", "labelled", "tagged")
_MAX_NAMED = 4  # files
_TAIL = 1 << 16  # bytes at the end of a log in which its last step stands
_LEVELS = 4  # of folders that are looked into


class RunSummary(NamedTuple):
    """A run: what it trains, how far it is, and its best validation."""

    folder: Path
    objective: str
    preset: str
    step: int  # the last one that is saved or, in training, logged
    steps: int | None  # of the recipe
    is_training: bool  # a process holds its lock
    best_step: int | None
    scores: dict[str, float]  # of its best validation: the loss, bleu and chrf
    decided_by: str  # the score that made it the best
    num_bytes: int
    changed: float  # seconds since 1970
    init: str | None = None  # the model that training started from
    state: str = ""  # in a few words, if there is anything to say
    problem: str = ""  # the reason why less is known, or what is damaged

    @property
    def best(self) -> str:
        """The deciding score of the best validation, as text; "" without one."""
        value = self.scores.get(self.decided_by)
        return "" if value is None else f"{self.decided_by} {format_score(self.decided_by, value)}"


def format_score(name: str, value: float) -> str:
    """Return a score as text, with as many digits as it has elsewhere."""
    return f"{value:.4f}" if name == "loss" else f"{value:.2f}"


def find_runs(folder: Path, search: FolderSearch) -> list[Path]:
    """Return the runs in a folder, itself or below it, by name; hidden folders are left out."""
    return [path for path in folders_below(folder, search) if is_run(path)]


def folders_below(folder: Path, search: FolderSearch) -> list[Path]:
    """Return a folder and those below it, but not those of a run, by name.

    Links are followed to folders elsewhere, to each once. Levels are searched one after another, so
    that a deep folder uses up no search before the others are seen.
    """
    entered = [folder.resolve()]
    level = listed = [folder]
    for _ in range(_LEVELS):
        level = [
            inner
            for each in level
            if not is_run(each)
            for inner in _inner_folders(each, entered, search)
        ]
        listed = [*listed, *level]
    return sorted(listed, key=lambda each: each.parts)


def _inner_folders(folder: Path, entered: list[Path], search: FolderSearch) -> Iterator[Path]:
    """Yield the folders in one; `entered` grows by the folders that links lead to."""
    for entry in search.subfolders(folder):
        path = folder / entry.name
        if path.name.startswith("."):
            continue
        if path.is_symlink():
            target = path.resolve()
            if any(each.is_relative_to(target) or target.is_relative_to(each) for each in entered):
                continue  # it has its own name in the list, or this one in it
            entered.append(target)
        yield path


def summarize_run(run: Path) -> RunSummary:
    """Return the summary of a run, as far as its files can be read."""
    training = _is_training(run)
    recipe, pointers, damages = read_run_files(run, is_training=training)
    best_step = None if pointers.best is None else step_of(Path(pointers.best))
    saved = -1 if pointers.state is None else step_of(Path(pointers.state))
    logged = _last_logged_step(run) if training else 0
    validation = {} if best_step is None else read_validation(run, best_step)
    size, changed = folder_size(run)
    scores = _scores(validation)
    metric = validation.get("decided_by") or recipe.get("validation", {}).get("metric", "")
    return RunSummary(
        folder=run,
        objective=recipe.get("objective", ""),
        preset=str(recipe.get("model", {}).get("preset", "")),
        step=max(saved, logged, 0),
        steps=recipe.get("training", {}).get("steps"),
        is_training=training,
        best_step=best_step,
        scores=scores,
        decided_by=metric if metric in scores else "loss",
        num_bytes=size,
        changed=changed,
        init=_init(run),
        state=", ".join(
            [
                *(["training now"] if training else []),
                *(["nothing saved yet"] if not training and not has_saves(run) else []),
                *(damage.summary for damage in damages),
            ]
        ),
        problem="; ".join(damage.reason for damage in damages),
    )


def run_facts(model: Path) -> list[tuple[str, str]]:
    """Return what is known of a model folder from the run that it is a checkpoint of, by name."""
    run = run_of_model(model)
    if run is None:
        return []
    known, step = summarize_run(run), step_of(model.absolute())  # it may be named "."
    of = "" if known.steps is None else f" of {known.steps:,}"
    best = ", the best" if step == known.best_step else ""
    facts = [("run", f"{run}, step {step:,}{of}{best}" if step >= 0 else str(run))]
    if scores := validation_scores(run, step):
        named = (f"{name} {format_score(name, value)}" for name, value in scores.items())
        facts.append(("validation", ", ".join(named)))
    if known.objective:
        facts.append(("objective", f"{known.objective}, measured by evaluate -m {run}"))
    if texts := _names_of_texts(run):
        facts.append(("trained on", texts))
    return facts + ([] if known.init is None else [("started from", known.init)])


def _names_of_texts(run: Path) -> str:
    """Return the names of a run's training files and of their columns, which tell languages."""
    data = read_run_files(run, is_training=True).recipe.get("data", {})
    paths = [path for key in _TRAINING_FILES for path in data.get(key, [])]
    names = [Path(path).name for path in paths[:_MAX_NAMED]]
    more = [f"{len(paths) - _MAX_NAMED:,} more"] if len(paths) > _MAX_NAMED else []
    columns = [f"columns {', '.join(data['columns'])}"] if data.get("columns") else []
    return "; ".join([", ".join([*names, *more]), *columns]) if names else ""


def validation_scores(run: Path, step: int) -> dict[str, float]:
    """Return the scores of a step's validation by name, the loss among them."""
    return _scores(read_validation(run, step))


def _scores(validation: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a validation's record, as far as they are numbers."""
    named = validation.get("scores")
    values = {k: v.get("value") for k, v in named.items()} if isinstance(named, dict) else {}
    values["loss"] = validation.get("loss")
    return {name: float(v) for name, v in values.items() if isinstance(v, int | float)}


def _init(run: Path) -> str | None:
    for state in state_folders(run):
        with suppress(CheckpointError, OSError):
            return read_progress(state).init
    return None


def _is_training(run: Path) -> bool:
    """Return True if a process holds the run's lock, which is tried for a moment."""
    with suppress(FileNotFoundError, PermissionError), (run / LOCK).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def _last_logged_step(run: Path) -> int:
    """Return the largest step at the end of a run's log, 0 for none."""
    steps = [0]
    with suppress(OSError), (run / METRICS).open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
        for line in log.read().split(b"\n"):
            with suppress(ValueError, AttributeError, TypeError):
                steps.append(int(json.loads(line.decode()).get("step", 0)))
    return max(steps)


def folder_size(folder: Path) -> tuple[int, float]:
    """Return the bytes of all files of a folder, and when the last of them changed."""
    size, changed = 0, 0.0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                state = (Path(parent) / name).lstat()
                size, changed = size + state.st_size, max(changed, state.st_mtime)
    return size, changed
