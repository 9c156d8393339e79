"""The pointers of a run: run.json, which says what its best and last checkpoints and its state are.

It carries the checksum of its own contents: a changed digit would still name something.
"""

import hashlib
from pathlib import Path

import msgspec

from checkpoints import CheckpointError, is_inside, read_json, to_json, write_file

from ..folder_layout import RUN, checkpoint_folders

_SUM = "sha256"


class RunPointers(msgspec.Struct, frozen=True):
    """Paths in a run's folder."""

    best: str | None = None  # None: no validation
    last: str | None = None
    state: str | None = None  # what training resumes from


def read_pointers(run: Path) -> RunPointers:
    """Read a run's pointers. Raises CheckpointError if they are missing or damaged."""
    if not (run / RUN).exists():
        raise CheckpointError(f"the run {run} has lost its {RUN}")
    fields = read_json(run / RUN)
    expected = fields.pop(_SUM, None)  # runs of older versions have none
    if expected is not None and expected != _checksum(fields):
        raise CheckpointError(f"{run / RUN} is damaged: its contents are not what was written")
    try:
        pointers = msgspec.convert(fields, RunPointers)
    except msgspec.ValidationError:
        raise CheckpointError(f"{run / RUN} is damaged: it names no checkpoint") from None
    for name in filter(None, (pointers.best, pointers.last, pointers.state)):
        if not is_inside(run, name):
            raise CheckpointError(f"{run / RUN} names a checkpoint outside the run")
    return pointers


def write_pointers(run: Path, pointers: RunPointers) -> None:
    """Write a run's pointers atomically."""
    fields = msgspec.to_builtins(pointers)
    write_file(run / RUN, to_json({**fields, _SUM: _checksum(fields)}))


def find_checkpoint(run: Path) -> Path:
    """Return the checkpoint that a run's folder stands for: its best, or else its last.

    Raises CheckpointError saying how to go on.
    """
    try:
        pointers = read_pointers(run)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; {_remedy(run)}") from None
    name = pointers.best or pointers.last
    if name is None:
        raise CheckpointError(
            f"the run {run} has no checkpoint yet: it writes one at its first validation, and when "
            "it is stopped"
        )
    if not (run / name).is_dir():
        raise CheckpointError(f"the run's checkpoint {run / name} is missing; {_remedy(run)}")
    return run / name


def _remedy(run: Path) -> str:
    checkpoints = checkpoint_folders(run)
    named = f", or name a checkpoint: -m {checkpoints[-1]}" if checkpoints else ""
    return f"mend the run with transduce train --resume -o {run}{named}"


def _checksum(fields: object) -> str:
    return hashlib.sha256(to_json(fields).encode()).hexdigest()
