"""Conversations: a message in a pipe, and many at a terminal."""

import os
import shutil
from collections import Counter
from contextlib import nullcontext
from io import BytesIO
from types import SimpleNamespace

import pytest

from checkpoints.atomic_folder import MANIFEST
from cli.commands.generate import _errors_told
from cli.io import conversation
from cli.io.outputs import Writer
from transformer.chat.encoding import ChatPrompt
from transformer.errors import LineError
from transformer.loading import find_model
from transformer.pipelines.records import Line

pytestmark = pytest.mark.integration

TEMPLATE = "{% for message in messages %}{{ message.content }} {% endfor %}"
GREEDY = ("-t", "0", "-n", "4")


@pytest.fixture
def talker(writer, tmp_path):
    """A model with a template that strings messages together."""
    shutil.copytree(find_model(writer), tmp_path / "talker")
    (tmp_path / "talker" / MANIFEST).unlink()
    (tmp_path / "talker" / "chat_template.jinja").write_text(TEMPLATE)
    return tmp_path / "talker"


def test_a_message_is_answered_as_the_template_puts_it(transduce, talker):
    said = transduce("generate", "--chat", "-m", talker, *GREEDY, "one two")
    plain = transduce("generate", "--no-prompt", "-m", talker, *GREEDY, "one two ")
    assert said.code == 0, said.err
    assert said.out == plain.out
    with_system = transduce("generate", "--chat", "-m", talker, *GREEDY, "--system", "six", "one")
    plain = transduce("generate", "--no-prompt", "-m", talker, *GREEDY, "six one ")
    assert with_system.out == plain.out


def test_a_model_that_was_not_taught_to_talk_says_so(transduce, writer):
    ended = transduce("generate", "--chat", "-m", writer, "hello")
    assert (ended.code, ended.out) == (2, b"")
    assert b"no chat template" in ended.err


def test_at_a_terminal_each_line_is_a_message(transduce, forked, talker):
    """The second answer follows the first message and its answer; /clear forgets them."""
    terminal, end = os.openpty()
    command = ["generate", "--chat", "-m", talker, *GREEDY, "--device", "cpu"]
    program = forked(*command, stdin=end)
    os.write(terminal, b"one two\nthree\n/clear\none two\n\x04")
    out, err = program.communicate()
    os.close(terminal)
    os.close(end)
    assert program.returncode == 0, err
    first = transduce("generate", "--chat", "-m", talker, *GREEDY, "one two").out
    assert out.startswith(first)
    assert out.endswith(first)
    assert len(out) > 2 * len(first)
    assert err.count(b"> ") == 5


def test_a_message_that_the_template_leaves_out_is_a_mistake(transduce, talker):
    (talker / "chat_template.jinja").write_text("{{ messages[-1].content }}")
    ended = transduce("generate", "--chat", "-m", talker, *GREEDY, "--system", "six", "one")
    assert (ended.code, ended.out) == (2, b"")
    assert b"leaves out what was said (role: system)" in ended.err


def test_a_template_that_wants_parts_gets_them(transduce, talker):
    plain = transduce("generate", "--chat", "-m", talker, *GREEDY, "one two")
    parts = TEMPLATE.replace("message.content", "message.content[0].text")
    (talker / "chat_template.jinja").write_text(parts)
    assert transduce("generate", "--chat", "-m", talker, *GREEDY, "one two").out == plain.out


def test_words_that_the_template_leaves_out_and_cut_answers_are_told(transduce, talker):
    kept = TEMPLATE.replace("message.content", "message.content | replace('two', '')")
    (talker / "chat_template.jinja").write_text(kept)
    ended = transduce("generate", "--chat", "-m", talker, "-t", "0", "-n", "1", "one two three")
    assert ended.err.decode().splitlines() == [
        "transduce: messages of which the model's chat template leaves out words: 1",
        "transduce: lines with an answer cut off at the limit of new tokens (--max-tokens): 1",
    ]


def test_a_message_without_an_answer_was_not_said(monkeypatch):
    """Where no token is allowed: the next message follows what was answered, and is counted."""
    prompts = []

    def encode(_template, _tokenizer, messages):
        prompts.append([m.content for m in messages])
        return ChatPrompt([1], {len(messages) - 1: ["two"]})

    def stream(_ids, new, _arguments, _counts, *, number):
        if new == "bad":
            raise LineError("no token is allowed")
        yield f"answer {number}"

    monkeypatch.setattr(conversation, "encode_chat", encode)
    monkeypatch.setattr(conversation, "_typed_messages", lambda *_: iter(["one", "bad", "three"]))
    monkeypatch.setattr(conversation, "read_chat_template", lambda *_: "a template")
    counts, out = Counter(), BytesIO()
    lead = SimpleNamespace(folder="", tokenizer=None)
    session = SimpleNamespace(lead=lead, stream_ids=stream)
    monkeypatch.setattr(conversation, "output", lambda _: nullcontext(Writer(lambda: out)))
    line, line_io = Line(0, ""), SimpleNamespace(out=None, quiet=True)
    conversation.run_chat(session, line, None, counts, system=None, line_io=line_io)
    assert prompts[1:] == [["one", "answer 0", "bad"], ["one", "answer 0", "three"]]
    assert out.getvalue() == b"answer 0\nanswer 1\n"
    assert counts == {"words_left_out": 2}


def test_a_typed_prompt_without_an_answer_is_told(capsys):
    with _errors_told():
        raise LineError("no token is allowed")
    assert "no token is allowed" in capsys.readouterr().err
