"""Conversations to ids on disk, and the marks of those that are to be predicted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from ..chat.template import ChatTemplate
from ..chat.turns import ChatExample, answer_positions, encode_completion, encode_turns
from ..errors import ConfigError
from ..loading import ModelTexts
from .conversations import ChatRecord
from .data_report import (
    REFUSED,
    TOO_LONG,
    UNANSWERED,
    ConversationReport,
    FileReport,
    Fingerprints,
    UnknownCounter,
)
from .drawn_corpus import DrawnGroup
from .encoding import token_writer

IDS, PREDICTED = "ids", "predicted"
_MESSAGES = "messages"


class ConversationEncoder:
    """Writer of the ids of conversations, as a model's chat template has them.

    Left out, and counted, are conversations without an answer, those of more than `max_tokens`
    tokens, and those that the template refuses.
    """

    def __init__(
        self, texts: ModelTexts, template: ChatTemplate | None, *, max_tokens: int
    ) -> None:
        self._texts, self._template, self._max_tokens = texts, template, max_tokens
        self._before = texts.tokenizer.special_affixes()[0]
        self._unknown = UnknownCounter(texts.tokenizer)
        self._left_out: Counter[str] = Counter()
        self._kept = self._tokens = self._targets = self._longest = self._unread = 0
        self._fingerprints = Fingerprints()
        self._refusal = ""  # the first one's reason

    def write(
        self,
        groups: Iterable[DrawnGroup[ChatRecord]],
        folder: Path,
        *,
        training: "ConversationEncoder | None" = None,
    ) -> ConversationReport:
        """Write conversations below a folder; return the report on them.

        `training` is the encoder of those to look for these in. Without it, raises CorpusError
        where all are left out, with the reason.
        """
        files = []
        with ExitStack() as stack:
            ids, predicted = (
                stack.enter_context(token_writer(folder / name, self._texts.tokenizer))
                for name in (IDS, PREDICTED)
            )
            for group in groups:
                before = self._kept + self._left_out.total()
                for conversation in group.texts:
                    examples = self._encode(conversation)
                    ids.write(example.ids for example in examples)
                    predicted.write([int(p) for p in e.is_predicted] for e in examples)
                files.append(FileReport(group.name, self._kept + self._left_out.total() - before))
        if training is None and self._left_out and not self._kept:
            raise CorpusError(self._refusal or self._nothing_kept())
        return self._report(files, training)

    def _encode(self, conversation: ChatRecord) -> Sequence[ChatExample]:
        """Return the examples of a conversation; count it, and what is left out."""
        messages = conversation.messages
        answers = answer_positions(messages)
        if not answers:
            self._left_out[UNANSWERED] += 1
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
        self._unknown.add(contents, self._texts.tokenizer.encode_batch(contents))
        self._fingerprints.add(messages)
        self._kept += 1
        self._unread += len(messages) - 1 - answers[-1]
        self._tokens += sum(len(example.ids) for example in examples)
        self._targets += sum(sum(example.is_predicted) for example in examples)
        return examples

    def _nothing_kept(self) -> str:
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
        if not conversation.is_completion:
            raise ConfigError(
                f"{texts.folder} has no chat template, which conversations need: give one with "
                "--chat-template, or records of prompt and completion"
            )
        prompt, completion = (message.content for message in messages)
        end = texts.generation.end_id
        return [encode_completion(texts.tokenizer, self._before, prompt, completion, end)]

    def _report(
        self, files: list[FileReport], training: "ConversationEncoder | None"
    ) -> ConversationReport:
        prints = self._fingerprints
        return ConversationReport(
            files=files,
            left_out=dict(self._left_out),
            kept=self._kept,
            tokens=self._tokens,
            targets=self._targets,
            unread=self._unread,
            longest=self._longest,
            limit=self._max_tokens + 1,
            repeats=prints.repeats(),
            not_compared=prints.not_compared,
            in_training=prints.count_in(training._fingerprints) if training else 0,
            unknown={_MESSAGES: self._unknown.report()},
        )
