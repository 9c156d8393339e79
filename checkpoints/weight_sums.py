"""Checksums of a model folder's weights, by which it is known again."""

from collections.abc import Mapping
from pathlib import Path

from .checksum_cache import matches_checksum, sha256_hex
from .errors import CheckpointError
from .weights import weight_files


def weight_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 sums of a folder's weights by file; reads them. Raises CheckpointError."""
    sums = {}
    for path in weight_files(folder):
        with path.open("rb") as stream:
            sums[path.name] = sha256_hex(stream)
    return sums


def changed_weights(folder: Path, sums: Mapping[str, str]) -> str | None:
    """Return the first of a folder's files of weights that has not its sum; None if all have.

    Files that were summed before are not read again if they have not changed since.
    """
    try:
        paths = {path.name: path for path in weight_files(folder)}
    except CheckpointError:
        return min(sums, default="")
    if odd := paths.keys() ^ sums.keys():
        return min(odd)
    return next(
        (n for n, p in paths.items() if not matches_checksum(p, sums[n], trust_cache=True)), None
    )
