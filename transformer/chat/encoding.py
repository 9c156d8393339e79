"""Conversations as ids, in which only the template spells special tokens."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from checkpoints import CheckpointError
from tokenizer import Tokenizer

from ..errors import ConfigError
from .template import ChatTemplate, Message

# Unicode's private areas: characters that mean nothing.
_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))


def encode_chat(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = True,
) -> list[int]:
    """Return a conversation's ids. Special tokens that the template spells are recognised; those
    that a message spells are ordinary text.

    Raises ConfigError, CheckpointError and TokenizerError.
    """

    def render(contents: Sequence[str]) -> str:
        replaced = [m._replace(content=text) for m, text in zip(messages, contents, strict=True)]
        return template.render(replaced, add_generation_prompt=add_generation_prompt)

    contents = [message.content for message in messages]
    text, ordinary = _trace(render, contents, tokenizer.special_tokens())
    return tokenizer.encode_with_specials(text, ordinary=ordinary)


class _Traced(NamedTuple):
    """A conversation's text with the indices where a message may begin to spell a special token."""

    text: str
    indices: frozenset[int] = frozenset()

    def spelled(self, names: re.Pattern[str]) -> int:
        """Count the special tokens that the template spells."""
        return sum(match.start() not in self.indices for match in names.finditer(self.text))


def _trace(
    render: Callable[[Sequence[str]], str], contents: Sequence[str], names: Collection[str]
) -> _Traced:
    """Render a conversation and trace which of its text comes from messages.

    It is rendered again with a private character for each that a special token begins with, which
    is a message's wherever the template puts it, trimmed or cut. A template that reads on from such
    a character, for `<think>` say, could tell. Then only those are replaced that begin the name of
    a special token, unless the template makes more such names of what messages say.
    """
    plain = render(contents)
    names = sorted(filter(None, names), key=len, reverse=True)
    unused = _unused({*plain, *chain(*contents)})
    marks = {first: next(unused) for first in sorted({name[0] for name in names})}
    everywhere = {ord(first): mark for first, mark in marks.items()}
    back = {ord(mark): first for first, mark in marks.items()}
    pattern = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def traced(mark: Callable[[str], str]) -> _Traced:
        marked = [mark(content) for content in contents]
        if marked == contents:
            return _Traced(plain)
        text = render(marked)
        indices = (index for index, each in enumerate(text) if ord(each) in back)
        return _Traced(text.translate(back), frozenset(indices))

    def by_name() -> _Traced:
        return traced(lambda text: pattern.sub(lambda m: marks[m[0][0]] + m[0][1:], text))

    try:
        all_ = traced(lambda text: text.translate(everywhere))
    except (CheckpointError, ConfigError):  # it takes such a message for another kind
        return by_name()
    if all_.text == plain:
        return all_
    named = by_name()
    return named if named.spelled(pattern) <= all_.spelled(pattern) else all_


def _unused(used: set[str]) -> Iterator[str]:
    return (each for each in map(chr, chain(*_PRIVATE)) if each not in used)
