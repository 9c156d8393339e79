"""Strangers' chat templates: each is a text or one line, soon, in little memory."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checkpoints import CheckpointError
from tests.chat import hostile
from tests.sampling import one_in
from transformer import limited_process
from transformer.chat.template import ChatTemplate, Message
from transformer.errors import ConfigError
from transformer.limited_process import DEFAULT_LIMITS

pytestmark = pytest.mark.integration

# Whole seconds are counted, in each of two calls: one reads the template, one renders.
CPU_SECONDS, MEBIBYTES = 2 * (DEFAULT_LIMITS.cpu_seconds + 1.2), 300
HELLO = [Message("user", "hello"), Message("assistant", "a" * 10_000)]


def peak_mebibytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def cpu_seconds_of_children() -> float:
    """Those of children that have ended, and of the one that renders."""
    rendering = cpu_seconds_of(limited_process._child)  # first: asking may end its being one
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + rendering


def cpu_seconds_of(child: "limited_process._Child | None") -> float:
    if child is None or child.process.poll() is not None:
        return 0.0
    fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def render(text: str) -> str:
    """Render a template; the process that does has its limit, and this one does next to nothing."""
    children, here, peak = cpu_seconds_of_children(), time.process_time(), peak_mebibytes()
    try:
        return ChatTemplate(Path("model"), text, {}).render(HELLO)
    finally:
        assert time.process_time() - here < 0.5
        assert peak_mebibytes() - peak < 64
        assert cpu_seconds_of_children() - children < CPU_SECONDS


def refusal(text: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        render(text)
    line = str(caught.value)
    assert line.startswith("model: its chat template cannot be ")
    assert line.isprintable()
    assert len(line) < 300
    return line


@pytest.mark.parametrize("name", hostile.ENDLESS)
def test_an_endless_template_is_ended(name: str) -> None:
    assert refusal(hostile.ENDLESS[name]).endswith("it takes more than 1 s of CPU time")


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile.ENDLESS_TOO)
def test_other_endless_templates_are_ended(name: str) -> None:
    assert refusal(hostile.ENDLESS_TOO[name]).endswith("it takes more than 1 s of CPU time")


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile.LONG)
def test_a_long_template_ends_or_is_ended(name: str) -> None:
    try:
        assert len(render(hostile.LONG[name])) < 5_000_000
    except CheckpointError as error:
        assert "more than" in str(error)


@pytest.mark.parametrize("name", one_in(2, hostile.LARGE))
def test_a_large_template_is_refused(name: str) -> None:
    assert refusal(hostile.LARGE[name]).endswith("it takes more than 256 MiB of memory")


def test_the_process_of_a_large_template_stays_small() -> None:
    """Measured from a process that is small itself, for a child is counted before it starts."""
    code = """
import json, resource, sys
from tests.chat.hostile import LARGE
from transformer.limited_process import LimitedProcessError, run_limited, stop_child
for name, text in [*LARGE.items()][::3]:
    try:
        run_limited("transformer.chat.sandbox:render_template", text, {}, 10**6)
    except LimitedProcessError:
        stop_child()
    print(json.dumps([name, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10]))
"""
    command = [sys.executable, "-c", code]
    lines = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
    assert len(lines) == len([*hostile.LARGE][::3])
    for name, mebibytes in map(json.loads, lines):
        assert mebibytes < MEBIBYTES, name


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_a_template_that_does_what_none_may_is_refused(name: str) -> None:
    text, reason = hostile.REFUSED[name]
    assert reason in refusal(text)


@pytest.mark.parametrize("name", hostile.HARMLESS)
def test_an_odd_template_is_rendered(name: str) -> None:
    text, expected = hostile.HARMLESS[name]
    assert render(text) == expected


def test_a_refused_template_does_not_harm_the_next() -> None:
    good = ChatTemplate(Path("model"), "{{ messages[0].content }}", {})
    for text in ("{{ 'a' * 10**9 }}", hostile.NESTED + hostile.ENDS):
        with pytest.raises(CheckpointError):
            ChatTemplate(Path("model"), text, {}).render(HELLO)
        assert good.render(HELLO) == "hello"


def test_a_complaint_can_be_printed() -> None:
    with pytest.raises(ConfigError) as caught:
        render(r"{{ raise_exception('no\n\x1b[31m\u202e\x00 way' ~ 'a' * 100000) }}")
    assert "conversation: no [31m way" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_complaint_may_be_empty() -> None:
    with pytest.raises(ConfigError, match="conversation: it gives no reason"):
        render("{{ raise_exception('') }}")


def test_a_long_conversation_is_no_hostile_template() -> None:
    text = (
        "{% for message in messages %}{% set content = message.content | trim %}"
        "{% if content.startswith('x') or '</think>' in content %}!{% endif %}"
        "{{ '<|' + message.role + '|>' + content + '\n' }}{% endfor %}"
    )
    template = ChatTemplate(Path("model"), text, {})
    template.render([Message("user", "ä" * 2_000_000)])
    template.render([Message("user", "ä" * 1000)] * 5000)


def test_later_renders_wait_for_no_process_to_start() -> None:
    template = ChatTemplate(Path("model"), "{{ messages[0].content }}", {})
    began = time.monotonic()
    for _ in range(100):
        template.render(HELLO)
    assert time.monotonic() - began < 2
