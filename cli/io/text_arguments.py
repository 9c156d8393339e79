"""Arguments that are files to read, or texts themselves."""

import difflib
import errno
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..console import ARGUMENT, ARGUMENT_DESCRIPTOR, print_notice

_SHOWN = 60  # characters of a text in a notice
_NEAR = 0.75  # the least likeness of a file's name to one that there is not
_ENDS = (*'.!?…。！？।:;"”»)',)  # of sentences
_FOLDERS = (".", "..")  # or marks at the end of a text
_WORDS = 3  # words of a name with a slash, at most
_ENDINGS = re.compile(  # of files' names: kinds, and the languages in which corpora end
    r"\.(txt|text|tsv|csv|jsonl?|ndjson|gz|bz2|xz|lzma|zst|md|html|xml|toml|parquet|src|tgt|ref|tok"
    r"|bpe|ids|log|dat|zip|tar|pdf|docx|en|de|fr|es|it|pt|nl|ru|zh|ja|ko|ar|cs|pl|tr|uk|vi|ro|fi|sv"
    r"|da|hu|hi|el|bg|he|fa)$",
    re.IGNORECASE,
)


def named_inputs(arguments: Sequence[str] | None) -> list[str]:
    """Return the names of the files to read; without arguments, that of stdin.

    Where no argument is a file and all look like texts, they are the lines of one, of which a
    notice tells; a full stop alone is no folder then. Raises OSError for a file that there is not.
    """
    if not arguments:
        return ["-"]
    missing = [name for name in arguments if name != "-" and not os.path.lexists(name)]
    texts = [name for name in missing if looks_like_text(name, words=len(arguments))]
    if texts and all(name in texts or name in _FOLDERS for name in arguments):
        return [_file_with(_lines_of(arguments))]
    for name in missing:
        raise missing_file(name, quote=name in texts and len(arguments) > 1)
    return list(arguments)


def _lines_of(texts: Sequence[str]) -> list[str]:
    """Return the lines that texts are, after a notice; single words are those of one line."""
    words = not any(
        re.search(r"\s", text) for text in texts
    )  # as of a text without quotation marks
    lines = [" ".join(texts)] if words else list(texts)
    shown = repr(lines[0] if len(lines[0]) <= _SHOWN else f"{lines[0][:_SHOWN]} …")
    more = len(lines) - 1
    quote = "; in quotation marks the shell leaves it as it is" if lines[0] != texts[0] else ""
    print_notice(
        f"{shown} and {more:,} more are no files: they are taken as text"
        if more
        else f"{shown} is no file: it is taken as text{quote}"
    )
    return lines


def _file_with(lines: Sequence[str]) -> str:
    """Return the name of a file with these lines, which is gone when the program ends.

    It is read later, by its name, so its descriptor outlives the stream.
    """
    with tempfile.TemporaryFile() as stream:
        stream.write(b"".join(os.fsencode(line) + b"\n" for line in lines))
        stream.seek(0)
        os.dup2(stream.fileno(), ARGUMENT_DESCRIPTOR)
    return ARGUMENT


def looks_like_text(name: str, *, words: int = 1) -> bool:
    """Return True for what is rather a text than the name of a file.

    A lone word is one only at a terminal: elsewhere a name of a file is likelier.

    >>> [looks_like_text(name) for name in ["A dog runs.", "I like node.js", "data.txt", "texts/a"]]
    [True, True, False, False]
    """
    if name.startswith(("/", "./", "../", "~")) or _ENDINGS.search(name):
        return False
    if not re.search(r"\s", name):
        sentence = name.endswith(_ENDS) or any(ord(each) > 0x2E7F for each in name)
        word = "." not in name and (words > 1 or sys.stdin.isatty()) and not _near_names(name)
        return os.sep not in name and (sentence or word)
    return os.sep not in name or _is_sentence(name)


def _is_sentence(text: str) -> bool:
    """Return True for a text of several words in which a slash is one between words or numbers."""
    return text.rstrip().endswith(_ENDS) or len(text.split()) > _WORDS


def missing_file(name: str, *, quote: bool = False) -> FileNotFoundError:
    """Return the error of a file that there is not; it names one whose name is near.

    With `quote` it may be a word of a text.
    """
    reason = os.strerror(errno.ENOENT)
    if near := _near_names(name):
        reason += f"; did you mean {Path(name).parent / near[0]}?"
    elif quote:
        reason += "; put a text of several words in quotation marks"
    return FileNotFoundError(errno.ENOENT, reason, name)


def _near_names(name: str) -> list[str]:
    """Return the name in the same folder that is nearest, if one is near."""
    path = Path(name[:1000])
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 (names alone)
    except OSError:
        return []
    return difflib.get_close_matches(path.name, names[:10_000], n=1, cutoff=_NEAR)
