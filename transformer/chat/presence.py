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
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")  # what `tojson(ensure_ascii=true)` makes of a letter


def choose_parts(render: Render, messages: Sequence[Message], folder: Path) -> frozenset[int]:
    """Return the indices of messages that come up only if their content is a list of parts.

    Templates of models that also see pictures go over parts, and find none in a text. Raises
    ConfigError where a message does not come up either way, and CheckpointError.
    """
    try:
        missing = _missing(render, messages, ())
    except (CheckpointError, ConfigError):  # the template cannot take text; it may want parts
        everything = frozenset(range(len(messages)))
        try:
            still_missing = _missing(render, messages, everything)
        except (CheckpointError, ConfigError):
            still_missing = everything
        if still_missing:
            raise
        return everything
    if not missing:
        return missing
    try:
        still_missing = _missing(render, messages, missing)
    except (CheckpointError, ConfigError):
        still_missing = missing
    if still_missing:
        roles = ", ".join(dict.fromkeys(messages[index].role for index in sorted(still_missing)))
        raise ConfigError(
            f"{folder}: its chat template leaves out what was said (role: {roles}): the model "
            "would not see it; leave that message out, or --chat"
        )
    return missing


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
    plain = _words(_ESCAPED.sub(lambda match: chr(int(match[1], 16)), text))
    left_out = {
        index: [
            word for word in dict.fromkeys(_words(message.content).split()) if word not in plain
        ]
        for index, message in enumerate(messages)
        if message.role != "assistant"
    }
    return {index: words for index, words in left_out.items() if words}


def _words(text: str) -> str:
    """Return the words of a text in lower case, with a space between them."""
    return " ".join(re.findall(r"\w+", text.casefold()))
