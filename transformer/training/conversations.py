"""Conversations to train on, from JSON records in the forms that are in use.

`messages` of a role and a content each (also `conversations`, of `from` and `value`), `prompt` and
`completion`, or `instruction`, perhaps `input`, and `output` (also `context` and `response`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenizer import CorpusError
from tokenizer.text import listed, read_objects

from ..chat.template import Message
from ..errors import ConfigError
from .drawn_corpus import DrawnCorpus, DrawnGroup

_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}


class ChatRecord(NamedTuple):
    """The messages of a conversation."""

    messages: tuple[Message, ...]
    is_completion: bool = False  # of a prompt and its completion, which need no chat template


def conversation_of(record: Any) -> ChatRecord:
    """Return the conversation that a record holds. Raises ValueError saying what is wrong.

    >>> conversation_of({"instruction": "Add.", "input": "1, 2", "output": "3"}).messages[0].content
    'Add.\\n\\n1, 2'
    """
    if not isinstance(record, Mapping):
        raise ValueError("it is no object")
    for names, read in _FORMS.items():
        if all(name in record for name in names):
            return read(*(record[name] for name in names), record)
    raise ValueError(
        f"it has {listed([*record])}, not messages, prompt and completion, or "
        "instruction and output"
    )


def _of_messages(value: Any, record: Mapping[str, Any]) -> ChatRecord:
    del record
    return ChatRecord(tuple(_messages(value)))


def _of_completion(prompt: Any, completion: Any, record: Mapping[str, Any]) -> ChatRecord:
    del record
    if isinstance(prompt, list) or isinstance(completion, list):
        sides = zip((prompt, completion), ("user", "assistant"), strict=True)
        parts = [_messages(v) if isinstance(v, list) else [Message(r, _text(v))] for v, r in sides]
        return ChatRecord((*parts[0], *parts[1]))
    return ChatRecord(_turn(_text(prompt), _text(completion)), is_completion=True)


def _of_instruction(instruction: Any, output: Any, record: Mapping[str, Any]) -> ChatRecord:
    further = record.get("input") or record.get("context") or ""
    asked = "\n\n".join(filter(None, (_text(instruction), _text(further))))
    system = record.get("system")
    before = (Message("system", _text(system)),) if system else ()
    return ChatRecord((*before, *_turn(asked, _text(output))))


# By the fields of records, in the order in which they are looked for.
_FORMS: dict[tuple[str, ...], Callable[..., ChatRecord]] = {
    ("messages",): _of_messages,
    ("conversations",): _of_messages,
    ("prompt", "completion"): _of_completion,
    ("instruction", "output"): _of_instruction,
    ("instruction", "response"): _of_instruction,
}


def _turn(asked: str, answer: str) -> tuple[Message, Message]:
    return Message("user", asked), Message("assistant", answer)


def _messages(value: Any) -> Iterator[Message]:
    if not isinstance(value, list):
        raise ValueError("its messages are no list")
    for message in value:
        fields = message if isinstance(message, Mapping) else {}
        role = fields.get("role", fields.get("from"))
        if not isinstance(role, str):
            raise ValueError("one of its messages has no role")
        yield Message(_ROLES.get(role, role), _text(fields.get("content", fields.get("value"))))


def _text(value: Any) -> str:
    """Return a content, which may be a list of parts of text. Raises ValueError for another."""
    if isinstance(value, list):
        parts = [part if isinstance(part, Mapping) else {} for part in value]
        if all(isinstance(part.get("text"), str) for part in parts):
            return "".join(part["text"] for part in parts)
    if not isinstance(value, str):
        raise ValueError(f"one of its contents is {str(value)[:40]!r}, no text")
    return value


@dataclass
class ConversationCorpus(DrawnCorpus[ChatRecord]):
    """The conversations of a recipe's files; those that begin alike are drawn together."""

    @property
    def paths(self) -> list[str]:
        """See DrawnCorpus."""
        return self.recipe.conversations

    @property
    def valid_paths(self) -> list[str]:
        """See DrawnCorpus."""
        return self.recipe.valid_conversations

    def check(self) -> None:
        """See DrawnCorpus."""
        if not self.recipe.conversations:
            raise ConfigError("instructions need conversations: give --conversations FILE")

    def validation(self) -> Iterator[DrawnGroup[ChatRecord]]:
        """Yield those to validate on; none if the recipe has no validation data."""
        for path in self.valid_paths:
            yield DrawnGroup(str(path), self.read(path))
        yield from self.drawn()

    def lines(self) -> Iterator[str]:
        """See DrawnCorpus: the messages."""
        for group in self.training():
            for conversation in group.texts:
                yield from (message.content for message in conversation.messages)

    def content(self, text: ChatRecord) -> str:
        """See DrawnCorpus: that of the first message."""
        return "".join(message.content for message in text.messages[:1])

    def read(self, path: str) -> Iterator[ChatRecord]:
        """See DrawnCorpus. Raises CorpusError for a record that is no conversation."""
        for location, record in read_objects(path, self.counts):
            try:
                yield conversation_of(record)
            except ValueError as error:
                raise CorpusError(f"{location}: {error}") from None
