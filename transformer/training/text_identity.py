"""The text of a run, told by its content: names and places of files do not matter."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from time import time_ns
from typing import Any, NamedTuple

import msgspec

from checkpoints import MIN_AGE_NS
from tokenizer import STDIN, SpooledPath, is_rereadable, open_text

from .data_recipe import DataRecipe, text_paths
from .recipe import Recipe

_CHUNK = 1 << 20  # bytes read at once


class TextIdentity(msgspec.Struct, frozen=True):
    """A file of text: the SHA-256 sum of its text, unpacked, and the file's state at that time.

    The state (size, times, device, inode) changes with the content, so that an unchanged file
    need not be read again. It is empty for files that had just changed, as in git's index.
    """

    path: str
    sha256: str
    state: list[int]

    def is_unchanged(self, path: str) -> bool:
        """Return True if the text at a path is this one. Raises OSError and CorpusError."""
        if self.state and _state(path) == self.state:
            return True
        return _text_sum(path) == self.sha256


Texts = dict[str, list[TextIdentity]]  # by the recipe's keys


class TextChanges(NamedTuple):
    """Files that a recipe names and whose text is not a run's."""

    changed: list[str]  # under the same name
    other: list[str]  # under another name


def identify_texts(data: DataRecipe) -> Texts:
    """Read all files of a recipe and return their identities. Raises OSError and CorpusError."""
    return {key: [_identify(path) for path in paths] for key, paths in text_paths(data).items()}


def compare_texts(data: DataRecipe, texts: Texts, *, names: Collection[str]) -> TextChanges:
    """Compare the files that a recipe names with texts of before, which had these names."""
    changes = TextChanges([], [])
    for key, paths in text_paths(data).items():
        before = texts.get(key, [])
        changes.other.extend(paths[len(before) :])
        changes.changed.extend(identity.path for identity in before[len(paths) :])
        for path, identity in zip(paths, before, strict=False):
            if can_reread(path) and not identity.is_unchanged(path):
                same_name = absolute_path(path) in names
                (changes.changed if same_name else changes.other).append(path)
    return changes


def absolute_path(path: str) -> str:
    """Return a path that does not depend on the working folder; `-` (stdin) stays."""
    return str(path) if path in {"", STDIN} else os.path.abspath(path)  # noqa: PTH100  (links stay)


def absolute_paths(recipe: Recipe) -> Recipe:
    """Return a recipe whose files are named from the root."""
    paths: dict[str, Any] = {
        key: [absolute_path(path) for path in paths]
        for key, paths in text_paths(recipe.data).items()
    }
    tokenizer = absolute_path(recipe.tokenizer.path)
    return msgspec.structs.replace(
        recipe,
        data=msgspec.structs.replace(recipe.data, **paths),
        tokenizer=msgspec.structs.replace(recipe.tokenizer, path=tokenizer),
    )


def _identify(path: str) -> TextIdentity:
    before = time_ns()
    state = _state(path)
    settled = bool(state) and max(state[1:3]) + MIN_AGE_NS <= before
    return TextIdentity(absolute_path(path), _text_sum(path), state if settled else [])


def _state(path: str) -> list[int]:
    """Return the state of a regular file; nothing for what was read only once, into a copy."""
    if not can_reread(path) or isinstance(path, SpooledPath):
        return []
    status = Path(path).stat()
    times = [status.st_mtime_ns, status.st_ctime_ns]
    return [status.st_size, *times, status.st_dev, status.st_ino]


def _text_sum(path: str) -> str:
    total = hashlib.sha256()
    with open_text(path, corpus=True) as stream:
        while chunk := stream.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


def can_reread(path: str) -> bool:
    """Return True for a regular file that may be read: pipes give their text only once."""
    try:
        return is_rereadable(path) and os.access(path, os.R_OK)
    except OSError:
        return False


def is_missing(path: str) -> bool:
    """Return True if there is no such file, nor a pipe."""
    return path != STDIN and not Path(path).exists()


def file_states(data: DataRecipe) -> dict[str, list[int]]:
    """Return size, times, device and inode of all files that a recipe reads."""
    return {path: _state(path) for paths in text_paths(data).values() for path in paths}
