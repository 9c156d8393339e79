"""Chat: one message, or a conversation at a terminal."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizer import CorpusCounts
from transformer.chat.encoding import encode_chat
from transformer.chat.template import Message, read_chat_template
from transformer.errors import ConfigError
from transformer.pipelines.arguments import GenerateArguments
from transformer.pipelines.notices import count_notices
from transformer.pipelines.records import Line
from transformer.pipelines.session import Session

from .line_reader import typed_lines
from .outputs import output
from .typed_text import is_typed

_HINT = "type one message on each line; /clear starts over, Ctrl-D quits"


def run_chat(
    session: Session,
    line: Line,
    arguments: GenerateArguments,
    counts: Counter[str],
    *,
    system: str | None,
    out: Path | None,
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
    initial = [] if system is None else [Message("system", system)]
    count_notices(line.notices, counts)
    messages, told = initial.copy(), 0
    with output(out) as writer:
        for message in [line.text] if line.text else _typed_messages(counts):
            if message == "/clear":
                messages, told = initial.copy(), 0
                continue
            messages.append(Message("user", message))
            answer = ""
            prompt = encode_chat(template, loaded.tokenizer, messages)
            for index, words in prompt.left_out.items():
                if index >= told:
                    count_notices({"words_left_out": words}, counts)
            new = "\n".join(said.content for said in messages[told:] if said.role != "assistant")
            told = len(messages)
            for piece in session.stream_ids(prompt.ids, new, arguments, counts):
                answer += piece
                writer.piece(piece)
            writer.line("")
            messages.append(Message("assistant", answer))


def _typed_messages(counts: Counter[str]) -> Iterator[str]:
    """Yield the messages typed at the terminal, one on each line; count those not in UTF-8."""
    if not is_typed(["-"]):
        raise ConfigError("--chat needs a message: as PROMPT, in a pipe, or typed at a terminal")
    for line in typed_lines(CorpusCounts(), _HINT):
        count_notices(line.notices, counts)
        if message := line.text.strip():
            yield message
