"""Checks that what was said comes up in what a chat template writes."""

import re
from collections.abc import Callable, Collection, Sequence
from itertools import count, islice
from pathlib import Path

from checkpoints import CheckpointError

from ..errors import ConfigError
from .template import Message

# Contents of messages, and the indices of those that are given as parts, to a prompt.
Render = Callable[[Sequence[str], Collection[int]], str]

_PART = re.compile("""['"]type['"]: ?['"]text""")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrtfb])")  # as `tojson` writes letters and space


def choose_parts(render: Render, messages: Sequence[Message], folder: Path) -> frozenset[int]:
    """Return the indices of messages that come up only if their content is a list of parts.

    Templates of models that also see pictures go over parts, and find none in a text. Raises
    ConfigError where a message does not come up either way, and CheckpointError.
    """
    missing, refusal = _try_missing(render, messages, ())  # a refused text may have to be parts
    if not missing:
        return missing
    still_missing, _ = _try_missing(render, messages, missing)
    if not still_missing:
        return missing
    if refusal is not None:
        raise refusal
    roles = ", ".join(dict.fromkeys(messages[index].role for index in sorted(still_missing)))
    raise ConfigError(
        f"{folder}: its chat template leaves out what was said (role: {roles}): the model "
        "would not see it; leave that message out, or --chat"
    )


def _try_missing(
    render: Render, messages: Sequence[Message], parts: Collection[int]
) -> tuple[frozenset[int], CheckpointError | ConfigError | None]:
    """Return the indices of messages that do not come up: all where the template refuses them."""
    try:
        return _missing(render, messages, parts), None
    except (CheckpointError, ConfigError) as error:
        return frozenset(range(len(messages))), error


def _missing(render: Render, messages: Sequence[Message], parts: Collection[int]) -> frozenset[int]:
    """Return the indices of messages whose last word does not come up.

    Each gets a word that nothing else has. Where the template refuses such messages, the
    contents themselves are looked up.
    """
    contents = [message.content for message in messages]
    marks = _unused_words(render(contents, parts), contents)
    try:
        marked = [f"{content} {mark}" for content, mark in zip(contents, marks, strict=True)]
        text = render(marked, parts).casefold()
    except (CheckpointError, ConfigError):
        text, marks = _words(render(contents, parts)), [_words(content) for content in contents]
    if parts and _PART.search(text) and not any(map(_PART.search, contents)):
        return frozenset(parts)  # the list itself was written, as Python spells it
    return frozenset(index for index, mark in enumerate(marks) if mark not in text)


def _unused_words(text: str, contents: Sequence[str]) -> list[str]:
    """Return a word for each content that is in none of them, nor in the text."""
    used = "\n".join([text, *contents]).casefold()
    words = (f"zqx{number}xqz" for number in count())
    return list(islice((word for word in words if word not in used), len(contents)))


def words_left_out(text: str, messages: Sequence[Message]) -> dict[int, list[str]]:
    """Return the words of messages that are not in a prompt, by the index of their message.

    Answers of the model are excepted: templates leave out what it thought before it answered.
    """
    plain = _words(_ESCAPED.sub(_unescape, text))
    present = {*plain.split(), *_words(text).split()}
    left_out: dict[int, list[str]] = {}
    for index, message in enumerate(messages):
        words = [] if message.role == "assistant" else _words(message.content).split()
        absent = [word for word in dict.fromkeys(words) if word not in present]
        # A template may write the first and the last without a space around them.
        ends = {*words[:1], *words[-1:]}
        absent = [w for w in absent if w not in ends or not _is_glued(w, words, present)]
        if absent:
            left_out[index] = absent
    return left_out


def _is_glued(word: str, words: Sequence[str], present: Collection[str]) -> bool:
    """Return True if the first or last of some words is part of a word on the side of its end."""
    if len(words) == 1:
        return any(word in other for other in present)
    starts = word == words[0] and any(other.endswith(word) for other in present)
    return starts or (word == words[-1] and any(other.startswith(word) for other in present))


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else " "


def _words(text: str) -> str:
    """Return the words of a text in lower case, with a space between them."""
    return " ".join(re.findall(r"\w+", text.casefold()))
