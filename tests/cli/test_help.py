"""Help pages: what an option does, in few words, with the names it takes and its default."""

import errno
import io
import re

import pytest
import typer

from cli.app import app
from cli.help.command import write_page
from cli.options.groups import choices_of
from tokenizer.training import NORMALIZATIONS, TOKENIZERS
from transformer.decoding.search.parameters import LENGTH_PENALTIES
from transformer.decoding.search.speculative import DRAFT_TOKENS
from transformer.export import MODEL_FORMATS
from transformer.loading import DTYPES
from transformer.pipelines.overflow import OVERFLOWS
from transformer.pooling import POOLINGS
from transformer.presets import PRESETS
from transformer.training.objectives import OBJECTIVES
from transformer.training.recipe import Recipe

LONGEST = 240  # characters of a help text: six lines of the column for it, 80 columns wide


def commands():
    """Every command by its words, as the parser has it."""
    top = typer.main.get_command(app)
    found = {}
    for name, command in top.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {n}": c for n, c in inner.items()} if inner else {name: command}
    return found


COMMANDS = commands()
PARAMETERS = [
    pytest.param(command, parameter, id=f"{name} {parameter.opts[-1]}")
    for name, command in COMMANDS.items()
    for parameter in command.params
    if parameter.expose_value
]
TO = ("checkpoint convert", "--to")  # which a registry checks
# The names that an option takes, which its help must list.
NAMES = {
    ("generate", "--overflow"): OVERFLOWS,
    ("generate", "--dtype"): DTYPES,
    ("benchmark", "--dtype"): DTYPES,
    ("generate", "--early-stopping"): ("yes", "no", "never"),
    ("translate", "--length-penalty-kind"): LENGTH_PENALTIES,
    ("score", "--length-penalty-kind"): LENGTH_PENALTIES,
    ("embed", "--pooling"): POOLINGS,
    ("train", "--objective"): OBJECTIVES,
    ("train", "--preset"): PRESETS,
    ("tokenizer train", "--kind"): TOKENIZERS,
    ("tokenizer train", "--normalization"): NORMALIZATIONS,
    TO: MODEL_FORMATS,
}
RECIPE = Recipe()
# Defaults that other modules decide on, which a help text repeats.
DEFAULTS = {
    ("generate", "--draft-tokens"): DRAFT_TOKENS,
    ("train", "--steps"): RECIPE.training.steps,
    ("train", "--batch-tokens"): RECIPE.training.batch_tokens,
    ("train", "--context"): RECIPE.training.context,
    ("train", "--learning-rate"): RECIPE.training.learning_rate,
    ("train", "--seed"): RECIPE.seed,
    ("train", "--save-every"): RECIPE.training.save_every,
}


def parameter_of(command, option):
    (found,) = [p for p in COMMANDS[command].params if option in p.opts]
    return found


def help_of(command, option):
    return parameter_of(command, option).help


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS)
def test_every_option_is_explained_in_few_words(command, parameter):
    text = parameter.help
    assert text, "no help"
    assert text.endswith(".")
    assert len(text) <= LONGEST or parameter.name in {"model", "preset", "to"}
    assert "[" not in text, "rich takes it for markup"
    # an option that is not there must not be recommended
    others = {name for other in COMMANDS.values() for p in other.params for name in p.opts}
    assert {*re.findall(r"--[a-z-]+", text)} <= others


@pytest.mark.parametrize("name", COMMANDS)
def test_lines_of_a_command_s_text_fit_the_terminal(name):
    """Typer leaves the line breaks of all paragraphs but the first as they are."""
    first, *others = COMMANDS[name].help.split("\n\n")
    assert len(" ".join(first.split())) <= 100
    assert [line for text in others for line in text.splitlines() if len(line) > 78] == []


@pytest.mark.parametrize(("command", "option"), NAMES, ids=" ".join)
def test_names_that_an_option_takes_are_listed(command, option):
    words = set(re.findall(r"[\w-]+", help_of(command, option)))
    assert sorted({*NAMES[command, option]} - words) == []
    assert {*choices_of(parameter_of(command, option))} == {*NAMES[command, option]}


@pytest.mark.parametrize(("command", "option"), sorted(NAMES.keys() - {TO}), ids=" ".join)
def test_another_name_is_refused_before_anything_is_loaded(command, option, transduce):
    done = transduce(*command.split(), option, "foo")
    assert done.code == 2
    assert done.err.decode().startswith(f"transduce: {option} is 'foo'; allowed: ")


def test_tokenizations_of_bleu_are_listed():
    bleu = pytest.importorskip("sacrebleu.metrics.bleu").BLEU
    words = set(re.findall(r"[\w-]+", help_of("evaluate", "--tokenize")))
    assert sorted({*bleu.TOKENIZERS} - words) == []
    assert {*choices_of(parameter_of("evaluate", "--tokenize"))} == {"auto", *bleu.TOKENIZERS}


@pytest.mark.parametrize(("command", "option"), DEFAULTS, ids=" ".join)
def test_defaults_in_help_texts_are_those_of_the_code(command, option):
    assert f"Default: {DEFAULTS[command, option]}." in help_of(command, option)


def test_a_page_that_cannot_be_written_names_stdout() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_page("text", Full())
    assert caught.value.filename == "stdout"
