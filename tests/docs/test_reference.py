"""The references in docs/ are those that the code gives now."""

import pytest

from cli.app import app
from tests.docs import reference


@pytest.mark.parametrize(
    ("path", "make"),
    [(reference.COMMANDS, reference.commands_page), (reference.PYTHON, reference.python_page)],
    ids=["commands", "python"],
)
def test_a_reference_is_that_of_the_code(path, make) -> None:
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    assert page == make(), f"{path.name} is out of date: run `make docs`"


def test_every_command_and_option_is_there() -> None:
    page = reference.commands_page()
    assert len(reference.commands()) >= len(app.registered_commands) + 2
    for name, command in reference.commands().items():
        section = page.partition(f"\n## transduce {name}\n")[2].partition("\n## ")[0]
        names = {n for p in command.params for n in p.opts if n.startswith("-") and p.expose_value}
        assert sorted(n for n in names if f"`{n}`" not in section) == []
