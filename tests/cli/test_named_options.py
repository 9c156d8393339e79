"""Options that a message or a help text names are there, in the command that is meant."""

import math
from dataclasses import fields
from typing import get_args

import pytest
import typer

from cli.app import app
from tests.cli.naming import missing_options, options_of
from tests.cli.test_line_notices import eager_for
from transformer.errors import ConfigError
from transformer.pipelines.arguments import (
    ClassifyArguments,
    EmbedArguments,
    FillArguments,
    GenerateArguments,
    ScoreArguments,
    SpeculationArguments,
    TagArguments,
    TranslateArguments,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("path", options_of())
def test_help_texts_name_options_that_are_there(path):
    command = typer.main.get_command(app)
    for word in path.split():
        command = command.commands[word]
    texts = [command.help or "", *(p.help or "" for p in command.params)]
    assert [name for text in texts for name in missing_options(path, text)] == []


def test_evaluate_names_no_option_of_translate(transduce, broken, tmp_path):
    """A model that goes on until its limit."""
    folder = broken("endless", eager_for("▁one"))
    (tmp_path / "p.tsv").write_text("one two\tone\n")
    ended = transduce("evaluate", "-m", folder, "--pairs", tmp_path / "p.tsv")
    assert ended.code == 0, ended.err
    told = b"transduce: lines with an answer cut off at the limit of new tokens: 1\n"
    assert told in ended.err  # the fixture looks for options


def test_what_is_missing_is_noticed():
    assert missing_options("evaluate", "the limit (--max-tokens): 1") == ["evaluate --max-tokens"]
    assert missing_options("score", "as translate --json and tokenizer encode --pieces do") == []
    assert missing_options("", "see transduce translate --piece") == ["translate --piece"]


KINDS = (TranslateArguments, GenerateArguments, ScoreArguments, EmbedArguments, FillArguments)
KINDS = (*KINDS, ClassifyArguments, TagArguments)
NUMBERS = [
    (kind, field.name, field.metadata["flag"])
    for kind in (*KINDS, SpeculationArguments)
    for field in fields(kind)
    if {int, float} & {field.type, *get_args(field.type)}
]


@pytest.mark.parametrize(
    ("kind", "field", "flag"), NUMBERS, ids=lambda each: getattr(each, "name", None)
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1e30, 1e30, -1, 0])
def test_a_number_out_of_range_is_told_by_its_option(kind, field, flag, value):
    """With its range and the number, whoever looks at it."""
    try:
        kind(**{field: value})
    except ConfigError as error:
        told = str(error)
        conflict = "needs" in told or "only" in told or " is more than " in told
        assert f"{flag.name} is {value}; it must be " in told or (conflict and flag.name in told)
    else:
        assert math.isfinite(value)


@pytest.mark.parametrize("command", ["translate", "score"])
def test_a_model_of_two_languages_says_that_it_has_no_others(transduce, translator, command):
    ended = transduce(command, "-m", translator, "--from", "en", "--to", "de", stdin=b"one\tsix\n")
    assert (ended.code, ended.out) == (2, b"")
    assert b"has no tokens for languages: it always translates from the language" in ended.err
    assert b"leave out --from and --to" in ended.err


def test_words_that_belong_to_no_option_are_told(transduce, translator):
    ended = transduce("evaluate", "-m", translator, "A dog", "runs.")
    assert (ended.code, ended.out) == (2, b"")
    named = b"--source FILE, --reference FILE, --pairs FILE, --labelled FILE"
    assert b"too many arguments: A dog runs.; options name the files that are read: " in ended.err
    assert named in ended.err
