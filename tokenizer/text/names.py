"""Names of texts: `-` is stdin; endings say what is in a file."""

import os
from pathlib import Path

from .signatures import PACKINGS

STDIN = "-"


def display_name(path: str) -> str:
    """Return a name as messages have it."""
    return "stdin" if path == STDIN else path


def suffix_of(path: str) -> str:
    """Return the ending of a name, in lower case, without that of a compression."""
    name = os.fspath(path).lower()
    for ending in (suffix for packing in PACKINGS.values() for suffix in packing.suffixes):
        name = name.removesuffix(ending)
    return Path(name).suffix
