"""Chat: one message, or a conversation at a terminal."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

from tokenizer import CorpusCounts
from transformer.chat.encoding import ChatPrompt, encode_chat
from transformer.chat.template import ChatTemplate, Message, read_chat_template
from transformer.errors import ConfigError, LineError, PromptError
from transformer.pipelines.arguments import GenerateArguments
from transformer.pipelines.notices import count_notices
from transformer.pipelines.records import Line
from transformer.pipelines.session import Session

from ..console import print_notice
from ..options.common import LineIOOptions
from .line_reader import typed_lines
from .outputs import Writer, output
from .typed_text import is_typed, stopped_by_interrupt

_HINT = "type one message on each line; /clear starts over, Ctrl-D quits"


def run_chat(
    session: Session,
    line: Line,
    arguments: GenerateArguments,
    counts: Counter[str],
    *,
    system: str | None,
    line_io: LineIOOptions,
) -> None:
    """Answer a message; without one, answer those that are typed until Ctrl-D.

    Raises ConfigError for a model without a chat template.
    """
    loaded = session.lead
    template = read_chat_template(loaded.folder, loaded.tokenizer)
    if template is None:
        raise ConfigError(
            f"{loaded.folder} has no chat template: leave out --chat, and it continues texts: "
            f"transduce generate -m {loaded.folder}"
        )
    count_notices(line.notices, counts)
    conversation = _Conversation(session, template, arguments, counts, system)
    with output(line_io.out) as writer:
        if line.text:
            conversation.answer(line.text, writer)
            return
        for message in _typed_messages(counts, None if line_io.quiet else _HINT):
            if message == "/clear":
                conversation.clear()
                continue
            try:
                with stopped_by_interrupt(writer):
                    conversation.answer(message, writer)
            except PromptError as error:
                print_notice(f"{error}; /clear starts over")
            except LineError as error:
                print_notice(str(error))


class _Conversation:
    """The messages of a conversation with a model, by turns."""

    def __init__(
        self,
        session: Session,
        template: ChatTemplate,
        arguments: GenerateArguments,
        counts: Counter[str],
        system: str | None,
    ) -> None:
        self._session, self._template = session, template
        self._arguments, self._counts = arguments, counts
        self._initial = [] if system is None else [Message("system", system)]
        self._turns = 0  # on which random samples depend
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._messages, self._told = self._initial.copy(), 0  # of so many, all is told

    def answer(self, message: str, writer: Writer) -> None:
        """Write the answer to a user's message; if it is interrupted, what there is of it stays.

        Raises PromptError where the conversation has become too long, LineError where there is no
        answer; the conversation is then without the message.
        """
        before = self._messages, self._told, self._turns
        messages = [*self._messages, Message("user", message)]
        prompt, new, notices = self._prompt(messages)
        pieces = self._session.stream_ids(
            prompt.ids, new, self._arguments, self._counts, number=self._turns
        )
        self._messages, self._told, self._turns = messages, len(messages), self._turns + 1
        self._counts.update(notices)
        try:
            self._write(pieces, writer)
        except LineError:
            self._messages, self._told, self._turns = before
            self._counts.subtract(notices)
            raise

    def _write(self, pieces: Generator[str, None, None], writer: Writer) -> None:
        """Write the pieces of an answer, which is a message of the conversation from then on."""
        answer = ""
        try:
            with closing(pieces):
                for piece in pieces:
                    answer += piece
                    writer.piece(piece)
        except LineError:
            if answer:
                writer.line("")
            raise
        finally:
            self._messages.append(Message("assistant", answer))
        writer.line("")

    def _prompt(self, messages: Sequence[Message]) -> tuple[ChatPrompt, str, Counter[str]]:
        """Return the prompt of messages, and the text of those that are new to the model.

        With them come the counts of what the template leaves out of these.
        """
        told, notices = self._told, Counter[str]()
        prompt = encode_chat(self._template, self._session.lead.tokenizer, messages)
        for index, words in prompt.left_out.items():
            if index >= told:
                count_notices({"words_left_out": words}, notices)
        new = "\n".join(m.content for m in messages[told:] if m.role != "assistant")
        return prompt, new, notices


def _typed_messages(counts: Counter[str], hint: str | None) -> Iterator[str]:
    """Yield the messages typed at the terminal, one on each line; count those not in UTF-8."""
    if not is_typed(["-"]):
        raise ConfigError("--chat needs a message: as PROMPT, in a pipe, or typed at a terminal")
    for line in typed_lines(CorpusCounts(), hint):
        count_notices(line.notices, counts)
        if message := line.text.strip():
            yield message
