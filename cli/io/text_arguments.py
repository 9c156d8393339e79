"""Arguments that are files to read, or texts themselves."""

import difflib
import errno
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ..console import print_notice

_SHOWN = 60  # characters of a text in a notice
_NEAR = 0.75  # the least likeness of a file's name to one that there is not
_FILES: list[IO[bytes]] = []  # that stay open
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_SUFFIX_AFTER_SPACE = re.compile(
    r"\.(txt|tsv|csv|json|jsonl|ndjson|gz|bz2|xz|lzma|zst|[a-z]{2})$", re.IGNORECASE
)


def named_inputs(arguments: Sequence[str] | None) -> list[str]:
    """Return the names of the files to read; without arguments, that of stdin.

    Where no argument is a file and all look like texts, they are the lines of one, of which a
    notice tells. Raises OSError for a file that there is not.
    """
    if not arguments:
        return ["-"]
    missing = [name for name in arguments if name != "-" and not os.path.lexists(name)]
    if len(missing) == len(arguments) and all(map(looks_like_text, arguments)):
        return [_file_with(_lines_of(arguments))]
    for name in missing:
        raise missing_file(name)
    return list(arguments)


def _lines_of(texts: Sequence[str]) -> list[str]:
    """Return the lines that texts are, after a notice; single words are those of one line."""
    words = not any(
        re.search(r"\s", text) for text in texts
    )  # as of a text without quotation marks
    lines = [" ".join(texts)] if words else list(texts)
    shown = repr(lines[0] if len(lines[0]) <= _SHOWN else f"{lines[0][:_SHOWN]} …")
    more = len(lines) - 1
    print_notice(
        f"{shown} and {more:,} more are no files: they are taken as text"
        if more
        else f"{shown} is no file: it is taken as text"
    )
    return lines


def _file_with(lines: Sequence[str]) -> str:
    """Return the name of a file with these lines, which is gone when the program ends."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115 (it is read later, by its name)
    stream.write(b"".join(os.fsencode(line) + b"\n" for line in lines))
    stream.flush()
    stream.seek(0)
    _FILES.append(stream)
    return f"/dev/fd/{stream.fileno()}"


def looks_like_text(name: str) -> bool:
    """Return True for what is rather a text than the name of a file.

    >>> [looks_like_text(name) for name in ["A dog runs.", "Hund", "data.txt", "texts/a"]]
    [True, True, False, False]
    """
    if re.search(r"\s", name):
        path = name.startswith(("/", "./", "../", "~")) or _SUFFIX_AFTER_SPACE.search(name)
        return not path
    if os.sep in name or _SUFFIX.search(name):
        return False
    return not _near_names(name)


def missing_file(name: str) -> FileNotFoundError:
    """Return the error of a file that there is not; it names one whose name is near."""
    reason = os.strerror(errno.ENOENT)
    if near := _near_names(name):
        reason += f"; did you mean {Path(name).parent / near[0]}?"
    return FileNotFoundError(errno.ENOENT, reason, name)


def _near_names(name: str) -> list[str]:
    """Return the name in the same folder that is nearest, if one is near."""
    path = Path(name[:1000])
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 (names alone)
    except OSError:
        return []
    return difflib.get_close_matches(path.name, names[:10_000], n=1, cutoff=_NEAR)
