"""Atomic folders: written under a temporary name, checksummed, flushed to disk, then renamed."""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .checksum_cache import matches_checksum, sha256_hex
from .errors import CheckpointError, ForeignFolderError
from .json_io import read_json, to_json
from .links import is_inside

MANIFEST = "manifest.json"
_SET_ASIDE = ".old.tmp"
# A process writes, sets aside or removes a name; or it has copies of what can be read only once.
_LEFTOVER = re.compile(r"\.(?:.+\.(?:\d+|\d+\.old|removed)|spool-.+)\.tmp", flags=re.DOTALL)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a temporary folder, then rename it to `path`.

    Until the rename, whatever is at `path` stays complete. Raises OSError, and removes the
    temporary folder, if there is no room, and ForeignFolderError if `path` is a folder that this
    program did not write.
    """
    if path.exists() and not _is_ours(path):
        raise ForeignFolderError(
            f"{path} exists and was not written by this program; choose another"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with errors_of_writing(path):
            temporary.mkdir()
            fill(temporary)
            _write_manifest(temporary)
            _flush_tree(temporary)
            _replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_file(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with errors_of_writing(path):
            with temporary.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_entry(path.parent)


@contextmanager
def errors_of_writing(path: Path) -> Iterator[None]:
    """Let errors of a full disk name what was to be written, for the system names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None or error.errno in _NO_ROOM:
            error.filename = str(path)
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed writers and restore folders that they had set aside.

    Hidden files of others stay, such as those of editors.
    """
    for replaced in folder.glob(f".*{_SET_ASIDE}"):
        path = folder / replaced.name[1:].removesuffix(_SET_ASIDE).rpartition(".")[0]
        if not path.exists():
            replaced.rename(path)
    for leftover in folder.glob(".*.tmp"):
        if not _LEFTOVER.fullmatch(leftover.name):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def verify_checksums(folder: Path, *, trust_cache: bool = False) -> None:
    """Compare every file with the folder's manifest, if it has one.

    Every file is read, unless the cache is trusted and knows that the file was right in its
    present state. Raises CheckpointError for the first file that is missing, truncated or changed.
    """
    for path, checksum in _verified_sizes(folder):
        if not matches_checksum(path, checksum, trust_cache=trust_cache):
            raise CheckpointError(f"{path} is damaged: its contents are not what was written")


def verify_sizes(folder: Path) -> None:
    """Compare the sizes of all files with the folder's manifest, if it has one; reads none of them.

    Raises CheckpointError for the first file that is missing or truncated.
    """
    for _ in _verified_sizes(folder):
        pass


def _verified_sizes(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of a manifest, of the size that it has there, with its checksum."""
    for name, entry in _read_manifest(folder).items():
        path = folder / name
        expected = (entry.get("bytes"), entry.get("sha256")) if isinstance(entry, dict) else ()
        if tuple(map(type, expected)) != (int, str):
            raise CheckpointError(
                f"{folder / MANIFEST} is damaged: it has no size and checksum of {name}"
            )
        if not is_inside(folder, name):
            raise CheckpointError(f"{folder / MANIFEST} names {name}, which is outside the folder")
        if not path.is_file():
            raise CheckpointError(f"{folder} is incomplete: {name} is missing")
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise CheckpointError(
                f"{path} is damaged: it has {size:,} bytes, {entry['bytes']:,} were written"
            )
        yield path, entry["sha256"]


def _is_ours(path: Path) -> bool:
    return path.is_dir() and ((path / MANIFEST).is_file() or not any(path.iterdir()))


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)


def _write_manifest(folder: Path) -> None:
    entries: dict[str, dict[str, Any]] = {}
    for path in _files(folder):
        with path.open("rb") as stream:
            entry = {"bytes": path.stat().st_size, "sha256": sha256_hex(stream)}
        entries[path.relative_to(folder).as_posix()] = entry
    (folder / MANIFEST).write_text(to_json(entries), encoding="utf-8")


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    return read_json(path) if path.is_file() else {}


def _flush_tree(folder: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    for path in [*_files(folder), folder / MANIFEST]:
        path.chmod(0o666 & ~mask)  # safetensors ignores the umask and writes 0600
        _flush_entry(path)
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        _flush_entry(path)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(temporary: Path, path: Path) -> None:
    if path.exists():  # a folder cannot be renamed over another: set the old one aside
        old = path.parent / f".{path.name}.{os.getpid()}{_SET_ASIDE}"
        path.rename(old)
        try:
            temporary.rename(path)
        except BaseException:
            old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.rename(path)
    _flush_entry(path.parent)
