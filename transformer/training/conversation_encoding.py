"""Conversations to ids on disk, and the marks of those that are to be predicted."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from tokenizer.quantities import format_count

from ..chat.template import ChatTemplate
from ..chat.turns import ChatExample, answer_positions, encode_completion, encode_turns
from ..errors import ConfigError
from ..loading import ModelTexts
from .conversations import ChatRecord
from .data_report import REFUSED, TOO_LONG, UNANSWERED, UNFRAMED, ConversationReport
from .drawn_corpus import DrawnGroup
from .drawn_encoding import DrawnEncoder
from .encoding import token_writer

IDS, PREDICTED = "ids", "predicted"
_NO_TEMPLATE = (
    "the model has no chat template, which messages need: give one with --chat-template, or "
    "records of prompt and completion"
)


class ConversationEncoder(DrawnEncoder[ChatRecord, ChatTemplate | None, ConversationReport]):
    """Writer of the ids of conversations, as a model's chat template has them.

    Left out, and counted, are conversations without an answer, those of more than `max_tokens`
    tokens, those that the template refuses, and messages where there is none.
    """

    side: ClassVar[str] = "messages"

    def __init__(
        self, texts: ModelTexts, template: ChatTemplate | None, *, max_tokens: int
    ) -> None:
        super().__init__(texts, template, max_tokens=max_tokens)
        self._texts, self._template = texts, template
        self._before = texts.tokenizer.special_affixes()[0]
        self._targets = self._unread = 0
        self._refusal = ""  # the first one's reason

    def _write(self, groups: Iterable[DrawnGroup[ChatRecord]], folder: Path) -> None:
        with ExitStack() as stack:
            ids, predicted = (
                stack.enter_context(token_writer(folder / name, self._tokenizer))
                for name in (IDS, PREDICTED)
            )
            for conversation in chain.from_iterable(group.texts for group in groups):
                examples = self._encode(conversation)
                ids.write(example.ids for example in examples)
                predicted.write([int(p) for p in e.is_predicted] for e in examples)

    def _encode(self, conversation: ChatRecord) -> Sequence[ChatExample]:
        """Return the examples of a conversation; count it, and what is left out."""
        messages = conversation.messages
        answers = answer_positions(messages)
        if not answers:
            self._left_out[UNANSWERED] += 1
            return ()
        if self._template is None and not conversation.is_completion:
            self._left_out[UNFRAMED] += 1
            self._refusal = self._refusal or _NO_TEMPLATE
            return ()
        try:
            examples = self._examples(conversation)
        except ConfigError as error:
            self._left_out[REFUSED] += 1
            self._refusal = self._refusal or str(error)
            return ()
        longest = max(len(example.ids) for example in examples)
        self._longest = max(self._longest, longest)
        if longest > self._max_tokens:
            self._left_out[TOO_LONG] += 1
            return ()
        contents = [message.content for message in messages]
        self._unknown.add(contents, self._tokenizer.encode_batch(contents))
        self._fingerprints.add(messages)
        self._kept += 1
        self._unread += len(messages) - 1 - answers[-1]
        self._tokens += sum(len(example.ids) for example in examples)
        self._targets += sum(sum(example.is_predicted) for example in examples)
        return examples

    def _nothing_kept(self) -> str | None:
        """See DrawnEncoder: the template's first refusal, or how many there are of each kind."""
        if self._refusal or not self._left_out:
            return self._refusal or None
        reasons = {
            TOO_LONG: f"of {self._max_tokens + 1:,} tokens or more (data.max_tokens)",
            UNANSWERED: "without an answer",
        }
        counts = ", ".join(
            f"{self._left_out[reason]:,} {text}"
            for reason, text in reasons.items()
            if self._left_out[reason]
        )
        count = format_count(self._left_out.total(), "conversation")
        return f"all {count} of the training text are left out: {counts}"

    def _examples(self, conversation: ChatRecord) -> list[ChatExample]:
        """Return the examples of a conversation. Raises ConfigError where there can be none."""
        texts, messages = self._texts, conversation.messages
        if self._template is not None:
            ends = texts.generation.end_ids
            return encode_turns(self._template, texts.tokenizer, messages, ends)
        prompt, completion = (message.content for message in messages)
        end = texts.generation.end_id
        return [encode_completion(texts.tokenizer, self._before, prompt, completion, end)]

    def _report(self, fields: dict[str, Any]) -> ConversationReport:
        limit = self._max_tokens + 1
        return ConversationReport(**fields, limit=limit, targets=self._targets, unread=self._unread)
