"""The folder of prepared text in a run: ids, and sums of all files.

It is written whole, with a manifest; `prepared.json` says what its contents were made of.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from checkpoints import (
    MANIFEST,
    CheckpointError,
    ForeignFolderError,
    read_json,
    to_json,
    verify_checksums,
    write_folder,
)

from .data_report import DataReport
from .text_identity import Texts

TOKENIZER = "tokenizer.json"  # in the run's folder; earlier, a copy with the ids
VERSION = 2  # of the rules by which text becomes ids
_CONTENTS = "prepared.json"
_EARLIER = "done.json"  # of earlier versions, which wrote no sums
_MARKS = {_CONTENTS, MANIFEST, _EARLIER}  # no other folder has these
_PARTS = {"train", "valid"}
LABELS = "labels.json"  # of texts with labels
_TEXTS = {"pairs.jsonl", "shown.json"}  # of validation
_LABELLED = {"texts.jsonl", "seconds.npy", "targets.npy"}  # and tagged


class Contents(msgspec.Struct, kw_only=True):
    """The text and the settings that prepared ids were made of, and the report on the text."""

    version: int
    settings: dict[str, Any]
    tokenizer: str  # SHA-256
    texts: Texts
    report: DataReport


def read_contents(folder: Path) -> Contents | None:
    """Return what a folder of prepared text was made of; None if there is none of this version.

    Raises CheckpointError if any of its files is not what was written.
    """
    if not (folder / MANIFEST).is_file():
        if not _ours(folder) or has_earlier_version(folder):
            return None
        raise CheckpointError(f"{folder / MANIFEST} is missing")
    verify_checksums(folder)
    unexpected = _files(folder) & _ours(folder) - {folder / name for name in _manifest(folder)}
    for path in sorted(unexpected - {folder / MANIFEST}):
        raise CheckpointError(f"{path} is not one of the files that were written")
    try:
        return msgspec.convert(read_json(folder / _CONTENTS), Contents)
    except msgspec.ValidationError:  # of another version
        return None


def has_earlier_version(folder: Path) -> bool:
    """Return True for prepared text of a version that wrote no sums."""
    return (folder / _EARLIER).is_file()


def recorded_texts(folder: Path) -> Texts | None:
    """Return the texts that ids were made of; None where the record of them may be damaged."""
    return None if (contents := _recorded(folder)) is None else contents.texts


def recorded_report(folder: Path) -> DataReport | None:
    """Return the report on prepared text; None where an earlier version wrote none."""
    return None if (contents := _recorded(folder)) is None else contents.report


def _recorded(folder: Path) -> Contents | None:
    """Return the record of prepared text; None where it is missing or may be damaged."""
    try:
        written = (folder / _CONTENTS).read_bytes()
        if hashlib.sha256(written).hexdigest() != _manifest(folder)[_CONTENTS]["sha256"]:
            return None
        return msgspec.json.decode(written, type=Contents)
    except (OSError, LookupError, TypeError, msgspec.ValidationError):
        return None


def write_contents(folder: Path, fill: Callable[[Path], Contents]) -> Contents:
    """Write prepared text in place of what a folder has, and return what it was made of.

    Raises ForeignFolderError if the folder has other files than those of prepared text.
    """
    folder = Path(os.path.realpath(folder))  # it may be a link to a larger disk
    others = sorted(_files(folder) - _ours(folder))
    if others:
        raise ForeignFolderError(
            f"{others[0]} is not of this program, but in the way of a run's ids: move it, or "
            "choose another folder with -o"
        )
    if not (folder / MANIFEST).is_file():
        shutil.rmtree(folder, ignore_errors=True)
    contents: list[Contents] = []

    def write(temporary: Path) -> None:
        contents.append(fill(temporary))
        text = to_json(msgspec.to_builtins(contents[0]))
        (temporary / _CONTENTS).write_text(text, encoding="utf-8")

    write_folder(folder, write)
    return contents[0]


def part_identity(folder: Path, part: str, settings: Mapping[str, Any]) -> str:
    """Return a sum of the files of one part of prepared text, and of settings that go with it."""
    sums = {
        name: e["sha256"] for name, e in _manifest(folder).items() if Path(name).parts[0] == part
    }
    return hashlib.sha256(json.dumps([sums, settings], sort_keys=True).encode()).hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / MANIFEST)
    except (OSError, CheckpointError):
        return {}


def _files(folder: Path) -> set[Path]:
    """Return all files of a folder but hidden ones, which file managers leave behind."""
    return {p for p in folder.rglob("*") if not p.is_dir() and not p.name.startswith(".")}


def _ours(folder: Path) -> set[Path]:
    """Return the files of prepared text, by their places in it: a user's may have their names."""
    marked = any((folder / name).is_file() for name in _MARKS)
    return {p for p in _files(folder) if _is_ours(p.relative_to(folder), marked=marked)}


def _is_ours(path: Path, *, marked: bool) -> bool:
    """Return True for a file of prepared text; without marks, ids alone are known as such."""
    if path.parts[0] not in _PARTS:
        return marked and str(path) in {*_MARKS, TOKENIZER, LABELS}
    is_ids = path.match("ids.uint*") or path.name == "offsets.int64"
    return is_ids or (marked and path.name in _TEXTS | _LABELLED)
