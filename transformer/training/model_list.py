"""Lists of models on this machine: checkpoints of runs, other model folders, the hub's cache."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, get_args

from checkpoints import CheckpointError, verify_sizes

from ..config import Shape
from ..families import FAMILIES, MODEL_TYPE
from ..folder_layout import checkpoint_folders, is_run, step_of
from ..folder_search import FolderSearch
from ..loading import CONFIG, RunPointers, read_pointers
from ..loading.adapter_folder import is_adapter
from ..loading.hub import cached_models, hub_name
from .run_summary import (
    folder_size,
    folders_below,
    format_score,
    summarize_run,
    validation_scores,
)

DAMAGED = "damaged"
ADAPTER = "adapter"  # which needs its base
NOT_SUPPORTED = "not supported"  # a family that -m refuses


class ListedModel(NamedTuple):
    """A model by the name that `-m` takes."""

    name: str
    kind: str  # a shape, the family of a published model, or ADAPTER
    num_bytes: int
    changed: float  # seconds since 1970
    place: str  # run, folder or hub
    marks: tuple[str, ...] = ()  # best, last, NOT_SUPPORTED, DAMAGED
    scores: tuple[tuple[str, float], ...] = ()  # of its validation, with the loss
    decided_by: str = ""  # the score that made the run's best checkpoint the best

    @property
    def note(self) -> str:
        """Its marks and the score that decides which checkpoint is the best, as text."""
        deciding = [
            f"{name} {format_score(name, value)}"
            for name, value in self.scores
            if name == self.decided_by
        ]
        return ", ".join([*self.marks, *deciding])


def list_models(folder: Path, search: FolderSearch) -> list[ListedModel]:
    """Return the models in a folder and below it, then those of the hub's cache."""
    listed: list[ListedModel] = []
    for path in folders_below(folder, search):
        if is_run(path):
            listed += _of_run(path)
        elif hub_name(path) is None and (kind := _kind(path)):
            size, changed = folder_size(path)
            listed.append(ListedModel(str(path), kind, size, changed, "folder", _marks(path, kind)))
    return [*listed, *_of_hub()]


def _of_run(run: Path) -> Iterator[ListedModel]:
    """Yield the checkpoints of a run, the oldest first."""
    try:
        pointers = read_pointers(run)
    except (CheckpointError, OSError):
        pointers = RunPointers()
    decided_by = summarize_run(run).decided_by
    for path in checkpoint_folders(run):
        name = path.relative_to(run).as_posix()
        marks = {"best": pointers.best, "last": pointers.last}
        size, changed = folder_size(path)
        yield ListedModel(
            str(path),
            _kind(path) or "?",
            size,
            changed,
            "run",
            (*(mark for mark, named in marks.items() if named == name), *_damage(path)),
            tuple(validation_scores(run, step_of(path)).items()),
            decided_by,
        )


def _of_hub() -> Iterator[ListedModel]:
    for model in cached_models():
        kind = next(filter(None, map(_kind, model.snapshots)), "")
        if kind:  # a data set's or a part of a model is none
            yield ListedModel(
                model.name, kind, model.num_bytes, model.changed, "hub", _support(kind)
            )


def _marks(folder: Path, kind: str) -> tuple[str, ...]:
    return (*_support(kind), *_damage(folder))


def _damage(folder: Path) -> tuple[str, ...]:
    """Return the mark of a folder whose files are not those that were written, by their sizes."""
    try:
        verify_sizes(folder)
    except (CheckpointError, OSError):
        return (DAMAGED,)
    return ()


def _support(kind: str) -> tuple[str, ...]:
    """Return the mark of a kind that cannot be loaded: neither a shape of ours nor a family."""
    return () if kind in {ADAPTER, *FAMILIES, *get_args(Shape)} else (NOT_SUPPORTED,)


def _kind(folder: Path) -> str:
    """Return the shape of a model of ours, or the family of a published one; "" if it is none.

    A folder with an adapter alone is of the kind `adapter`.
    """
    if is_adapter(folder):
        return ADAPTER
    options: Any = None
    with suppress(OSError, ValueError, RecursionError):
        options = json.loads((folder / CONFIG).read_bytes())
    if not isinstance(options, dict) or not isinstance(options.get("model_type"), str):
        return ""
    family = str(options["model_type"])
    return str(options.get("shape")) if family == MODEL_TYPE else family
