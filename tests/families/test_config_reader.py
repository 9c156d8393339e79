"""Options of a config.json: their types, their absence, and those that are not read."""

from typing import Any

import pytest

from checkpoints import CheckpointError
from transformer.families import ConfigReader


def options(**fields: Any) -> ConfigReader:
    return ConfigReader(fields, "config.json")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda o: o.integer("yes"), "yes is True; it must be int"),
        (lambda o: o.number("yes", 0.0), "yes is True; it must be int or float"),
        (lambda o: o.flag("one", False), "one is 1; it must be bool"),
        (lambda o: o.integer("text"), "text is 'a'; it must be int"),
        (lambda o: o.integer("low"), r"low is -1000000\d*; it is too large"),
        (lambda o: o.integer("high"), r"high is 1000000\d*; it is too large"),
        (lambda o: o.integer("absent"), "absent is missing"),
        (lambda o: o.must_be("one", 2, 3), "one is 1, which is not supported; only: 2, 3"),
        (lambda o: o.choice("text", {"b": "c"}), "text is 'a', which is not supported; only: b"),
    ],
)
def test_an_option_of_another_kind_is_named(asked: Any, words: str) -> None:
    given = options(yes=True, one=1, text="a", low=-(10**19), high=10**19)
    with pytest.raises(CheckpointError, match=f"^config.json: {words}"):
        asked(given)


def test_options_and_what_their_absence_means() -> None:
    given = options(one=1, none=None, half=0.5)
    assert (given.integer("one"), given.integer("none", 3), given.number("one", 2.0)) == (1, 3, 1.0)
    assert (given.number("half", 2.0), given.flag("absent", True)) == (0.5, True)
    given.must_be("one", 0, 1)
    given.must_be("absent", 1, 0)
    assert given.choice("absent", {"a": "b"}, "a") == "b"


@pytest.mark.parametrize("value", ["", 1, "x", True, [0], {"a": 1}])
def test_an_option_that_nobody_reads_is_refused(value: Any) -> None:
    given = options(read=1, unread=value)
    given.integer("read")
    with pytest.raises(CheckpointError, match=r"the option unread = .* is not known"):
        given.finish()


@pytest.mark.parametrize("value", [None, False, 0, 0.0, {}, []])
def test_an_option_that_asks_for_nothing_changes_nothing(value: Any) -> None:
    options(unread=value, _private=1, model_type="x", top_k=50).finish()
