"""Conversations to train on: the ids of each answer, after those that `generate` reads for it."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from tokenizer import Tokenizer, is_blank

from .encoding import encode_chat
from .template import ChatTemplate, Message

ANSWERING = "assistant"  # the role whose messages are learnt


class ChatExample(NamedTuple):
    """The ids of a conversation, and for each of them whether it is to be predicted."""

    ids: list[int]
    is_predicted: list[bool]


class _Turn(NamedTuple):
    """An answer: the ids that a model reads before it, and its own, the end token last."""

    prompt: list[int]
    answer: list[int]

    def example(self, others: Sequence["_Turn"] = ()) -> ChatExample:
        """Return the turn as an example in which answers of other turns are predicted too."""
        ids = [*self.prompt, *self.answer]
        is_predicted = [False] * len(ids)
        for prompt, answer in (*others, self):
            first = len(prompt)
            is_predicted[first : first + len(answer)] = [True] * len(answer)
        return ChatExample(ids, is_predicted)

    def follows(self, earlier: "_Turn") -> bool:
        """Return True if an earlier turn stands in this one's prompt as it was written."""
        ids = [*earlier.prompt, *earlier.answer]
        return self.prompt[: len(ids)] == ids


def answer_positions(messages: Sequence[Message]) -> list[int]:
    """Return the positions of the answers to learn: those to something, and not blank."""
    return [
        index
        for index, message in enumerate(messages)
        if index and message.role == ANSWERING and not is_blank(message.content)
    ]


def encode_turns(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    end_ids: Collection[int],
) -> list[ChatExample]:
    """Return the examples of a conversation; none without an answer to anything.

    The answers and their end tokens are to be predicted. Before each stand the ids that `generate`
    reads for it: where all turns stand in the last one's prompt as they were written, one example
    has them all; else, as where a template leaves out what a model thought earlier, each turn is an
    example of its own. Raises what `encode_chat` raises.
    """
    turns = [
        _encode_turn(template, tokenizer, messages[: index + 1], end_ids)
        for index in answer_positions(messages)
    ]
    if not turns:
        return []
    *earlier, last = turns
    if all(last.follows(turn) for turn in earlier):
        return [last.example(earlier)]
    return [turn.example() for turn in turns]


def _encode_turn(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    end_ids: Collection[int],
) -> _Turn:
    """Return the turn of the last message, which is an answer.

    What a template writes after the end token is not the answer's; where it writes none, the
    model's own ends it. Where its text does not begin with the prompt's ids, the answer is encoded
    by itself.
    """
    prompt = encode_chat(template, tokenizer, messages[:-1]).ids
    whole = encode_chat(template, tokenizer, messages, add_generation_prompt=False).ids
    begins = whole[: len(prompt)] == prompt
    answer = whole[len(prompt) :] if begins else tokenizer.encode(messages[-1].content)
    end = next((index for index, token in enumerate(answer) if token in end_ids), None)
    return _Turn(prompt, [*answer, *list(end_ids)[:1]] if end is None else answer[: end + 1])


def turn_end(template: ChatTemplate, tokenizer: Tokenizer) -> int | None:
    """Return the special token that a template writes after an answer; None if it writes none.

    Raises what `encode_chat` raises.
    """
    messages = [Message("user", "a"), Message(ANSWERING, "b")]
    special = set(tokenizer.special_tokens().values())
    prompt = encode_chat(template, tokenizer, messages[:1]).ids
    whole = encode_chat(template, tokenizer, messages, add_generation_prompt=False).ids
    if whole[: len(prompt)] != prompt:
        return None
    return next((token for token in whole[len(prompt) + 1 :] if token in special), None)


def encode_completion(
    tokenizer: Tokenizer, before: Sequence[int], prompt: str, completion: str, end_id: int
) -> ChatExample:
    """Return the example of a prompt and its completion, without a template.

    The prompt's ids are those that `generate` reads: after `before`, or the end token for an empty
    one. The completion's end with the end token.
    """
    asked, whole = tokenizer.encode(prompt), tokenizer.encode(prompt + completion)
    begins = whole[: len(asked)] == asked
    answer = whole[len(asked) :] if begins else tokenizer.encode(completion)
    return _Turn([*before, *asked] or [end_id], [*answer, end_id]).example()
