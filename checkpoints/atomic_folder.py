"""Folders that are whole or not there: written beside their place, summed, flushed, renamed."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .checksum_cache import matches_sum
from .errors import CheckpointError, ForeignFolderError
from .json_io import read_json, to_json
from .links import is_inside

MANIFEST = "manifest.json"
_ASIDE = ".old.tmp"


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a fresh folder, then put it in its place at once.

    Until the very last step, whatever stood at `path` stays whole. Raises OSError, leaving no
    litter, when there is no room; ForeignFolderError rather than replace what is not ours.
    """
    if path.exists() and not _is_ours(path):
        raise ForeignFolderError(
            f"{path} exists and was not written by this program; choose another"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.parent / f".{path.name}.{os.getpid()}.tmp"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir()
        fill(fresh)
        _write_manifest(fresh)
        _flush(fresh)
        _replace(fresh, path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def write_file(path: Path, text: str) -> None:
    """Write a small text file whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _flush_entry(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left behind; put back what one had set aside for good."""
    for aside in folder.glob(f".*{_ASIDE}"):
        path = folder / aside.name[1:].removesuffix(_ASIDE).rpartition(".")[0]
        if not path.exists():
            aside.rename(path)
    for litter in folder.glob(".*.tmp"):
        if litter.is_dir():
            shutil.rmtree(litter, ignore_errors=True)
        else:
            litter.unlink(missing_ok=True)


def verify_checksums(folder: Path, *, trust_cache: bool = False) -> None:
    """Compare every file with the folder's manifest, where it has one.

    Every file is summed or, where the cache is trusted, those whose present state is not known to
    be right. Raises CheckpointError naming the first file that is missing, cut short or changed.
    """
    for name, entry in _read_manifest(folder).items():
        path = folder / name
        sums = (entry.get("bytes"), entry.get("sha256")) if isinstance(entry, dict) else ()
        if tuple(map(type, sums)) != (int, str):
            raise CheckpointError(f"{folder / MANIFEST} is damaged: it says nothing of {name}")
        if not is_inside(folder, name):
            raise CheckpointError(f"{folder / MANIFEST} names {name}, which is outside the folder")
        if not path.is_file():
            raise CheckpointError(f"{folder} is incomplete: {name} is missing")
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise CheckpointError(
                f"{path} is damaged: it has {size:,} bytes, {entry['bytes']:,} were written"
            )
        if not matches_sum(path, entry["sha256"], trust_cache=trust_cache):
            raise CheckpointError(f"{path} is damaged: its contents are not what was written")


def _is_ours(path: Path) -> bool:
    return path.is_dir() and ((path / MANIFEST).is_file() or not any(path.iterdir()))


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_manifest(folder: Path) -> None:
    entries = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": _digest(path),
        }
        for path in _files(folder)
    }
    (folder / MANIFEST).write_text(to_json(entries), encoding="utf-8")


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    return read_json(path) if path.is_file() else {}


def _flush(folder: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for path in [*_files(folder), folder / MANIFEST]:
        path.chmod(0o666 & ~mask)  # safetensors writes 0600 whatever the umask
        _flush_entry(path)
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        _flush_entry(path)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(fresh: Path, path: Path) -> None:
    if path.exists():  # a folder cannot be renamed over another: step aside first
        old = path.parent / f".{path.name}.{os.getpid()}{_ASIDE}"
        path.rename(old)
        try:
            fresh.rename(path)
        except BaseException:
            old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.rename(path)
    _flush_entry(path.parent)
