"""Conversations as ids, in which only the template can spell special tokens."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from checkpoints import CheckpointError
from tokenizer import Tokenizer

from ..errors import ConfigError
from .presence import choose_parts, words_left_out
from .template import ChatTemplate, Message

# Unicode's private use areas: characters without a meaning.
_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))


class ChatPrompt(NamedTuple):
    """A conversation as ids, and the words that are not in them, by the index of their message."""

    ids: list[int]
    left_out: dict[int, list[str]]


def encode_chat(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = True,
) -> ChatPrompt:
    """Return the ids of a conversation.

    Special tokens that the template spells are recognized; those that a message spells are ordinary
    text. Raises ConfigError, also where a message does not come up in what the template writes;
    CheckpointError and TokenizerError.
    """

    def render_with(contents: Sequence[str], parts: Collection[int]) -> str:
        replaced = [m._replace(content=text) for m, text in zip(messages, contents, strict=True)]
        return template.render(replaced, add_generation_prompt=add_generation_prompt, parts=parts)

    parts = choose_parts(render_with, messages, template.folder)

    def render(contents: Sequence[str]) -> str:
        return render_with(contents, parts)

    contents = [message.content for message in messages]
    text, message_indices = _find_message_text(render, contents, tokenizer.special_tokens())
    ids = tokenizer.encode_with_specials(text, ordinary_indices=message_indices)
    if not ids:
        raise ConfigError(f"{template.folder}: its chat template makes an empty prompt")
    return ChatPrompt(ids, words_left_out(text, messages))


class _MarkedText(NamedTuple):
    """The text of a conversation, and the indices where a message may begin a special token."""

    text: str
    message_indices: frozenset[int] = frozenset()

    def count_template_tokens(self, names: re.Pattern[str]) -> int:
        """Return the number of special tokens that the template spells."""
        return sum(match.start() not in self.message_indices for match in names.finditer(self.text))


def _find_message_text(
    render: Callable[[Sequence[str]], str], contents: Sequence[str], names: Collection[str]
) -> _MarkedText:
    """Render a conversation and trace which parts of its text come from messages.

    In messages, each first character of a special token is replaced by a private character, and
    the conversation is rendered again: these characters mark text of messages wherever the template
    puts it, trimmed or cut. A template that looks for such characters, say for `<think>`, may
    render another text. Then only those that begin the name of a special token are replaced, unless
    more names would count as the template's.
    """
    plain = render(contents)
    names = sorted(filter(None, names), key=len, reverse=True)
    unused = _unused({*plain, *chain(*contents)})
    marks = {first: next(unused) for first in sorted({name[0] for name in names})}
    everywhere = {ord(first): mark for first, mark in marks.items()}
    back = {ord(mark): first for first, mark in marks.items()}
    pattern = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def render_marked(mark: Callable[[str], str]) -> _MarkedText:
        marked = [mark(content) for content in contents]
        if marked == contents:
            return _MarkedText(plain)
        text = render(marked)
        indices = (index for index, character in enumerate(text) if ord(character) in back)
        return _MarkedText(text.translate(back), frozenset(indices))

    def by_name() -> _MarkedText:
        return render_marked(lambda text: pattern.sub(lambda m: marks[m[0][0]] + m[0][1:], text))

    try:
        every_first = render_marked(lambda text: text.translate(everywhere))
    except (CheckpointError, ConfigError):  # the template fails with, or refuses, such messages
        return by_name()
    if every_first.text == plain:
        return every_first
    named = by_name()
    fewer = named.count_template_tokens(pattern) <= every_first.count_template_tokens(pattern)
    return named if fewer else every_first


def _unused(used: set[str]) -> Iterator[str]:
    return (character for character in map(chr, chain(*_PRIVATE)) if character not in used)
