"""The journeys' scripts: cut into commands, of which each is one that the program has."""

import re

import pytest

from tests.docs.reference import commands as program
from tests.journeys.__main__ import JOURNEYS, commands

CALLS = [
    (name, call)
    for name, path in JOURNEYS.items()
    for command in commands(path.read_text(encoding="utf-8"))
    for call in re.findall(r"transduce ([^|<>]*)", command)
]


def test_commands_are_lines_that_may_go_on() -> None:
    script = "# what it is for\n\nls\ncat a |\\\n    wc\n"
    assert list(commands(script)) == ["ls", "cat a |\\\n    wc"]


def test_there_are_three_journeys_and_each_trains_or_reads() -> None:
    assert {name for name, _ in CALLS} == {"translator", "writer", "published"}


@pytest.mark.parametrize(("journey", "call"), CALLS)
def test_every_call_is_a_command_with_options_that_it_has(journey: str, call: str) -> None:
    (command,) = [known for name, known in program().items() if f"{call} ".startswith(f"{name} ")]
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?<=\s)--?[a-z-]+", call)) <= options
