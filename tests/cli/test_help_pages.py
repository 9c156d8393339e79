"""The pages of -h and --help: short, grouped, with examples; global options at any place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from cli.app import app
from cli.help.environment import ENVIRONMENT
from cli.help.pages import PAGES, SHORT
from cli.help.render import is_argument, panel_of, short_text
from cli.options.groups import PANELS
from transformer.parameters import count_parameters
from transformer.presets import OPEN_VOCABULARY, PRESETS, preset_config
from transformer.training.recipe import Recipe
from transformer.training.recipe_keys import recipe_keys

ROOT = Path(__file__).parent.parent.parent


def nodes(command, path=""):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from nodes(inner, f"{path} {name}".strip())


NODES = dict(nodes(typer.main.get_command(app)))
COMMANDS = {path: command for path, command in NODES.items() if not hasattr(command, "commands")}


@pytest.fixture
def page(transduce, monkeypatch):
    """Return a help page of some width."""

    def show(path, option, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = transduce(*path.split(), option)
        assert (done.code, done.err) == (0, b"")
        return done.out.decode()

    return show


@pytest.mark.parametrize("path", NODES, ids=lambda path: path or "transduce")
def test_every_command_has_a_page_of_two_examples(path):
    assert path in PAGES, f"add {path!r} to PAGES in cli/help/pages.py: examples, daily options"
    assert len(PAGES[path].examples) == 2, f"PAGES[{path!r}] in cli/help/pages.py: two examples"
    assert max(len(line) for e in PAGES[path].examples for line in e.splitlines()) <= 78


def test_every_page_is_of_a_command():
    assert {*PAGES} <= {*NODES}, "cli/help/pages.py has a page of no command"


@pytest.mark.parametrize("path", COMMANDS)
def test_daily_options_are_there(path):
    names = {name for p in COMMANDS[path].params for name in p.opts}
    assert {*PAGES[path].daily} <= names, "PAGES in cli/help/pages.py names options that are gone"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_has_a_group(path):
    for parameter in COMMANDS[path].params:
        assert is_argument(parameter) or panel_of(parameter) in PANELS, (
            f"{path} {parameter.opts[-1]}: give option(…, panel=…), one of PANELS in "
            "cli/options/groups.py; if it is used daily, name it in cli/help/pages.py, too"
        )


@pytest.mark.parametrize("path", NODES, ids=lambda path: path or "transduce")
def test_the_short_page_fits_a_terminal(path, page):
    lines = page(path, "-h").splitlines()
    assert len(lines) <= 40, f"{path} -h: shorten with SHORT or Page.daily in cli/help/pages.py"
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"Usage: transduce {path}".rstrip())


@pytest.mark.parametrize("columns", [40, 120])
@pytest.mark.parametrize("path", ["", "train", "translate", "tokenizer encode"])
def test_no_line_is_wider_than_the_terminal(path, columns, page):
    written = page(path, "--help", columns)
    examples = {f"  {line}" for e in PAGES[path].examples for line in e.splitlines()}
    lines = [line for line in written.splitlines() if line not in examples]
    assert all(len(line) <= columns or " " not in line.strip() for line in lines)


@pytest.mark.parametrize("path", COMMANDS)
def test_the_whole_page_has_examples_groups_and_defaults(path, page):
    written = page(path, "--help")
    text = " ".join(written.split()).replace(",", "")
    for example in PAGES[path].examples:
        assert all(f"  {line}\n" in written for line in example.splitlines())
    headings = re.findall(r"^([A-Z][\w, ]+):$", written, re.M)
    panels = [heading for heading in headings if heading in PANELS]
    assert panels == sorted(panels, key=PANELS.index)
    assert headings[0] == "Examples"
    assert headings[-1] == "Help and errors"
    for parameter in COMMANDS[path].params:
        for name in parameter.opts if not is_argument(parameter) else [parameter.metavar]:
            assert name in written
        if parameter.default not in (None, False, ()) and not is_argument(parameter):
            assert f"efault: {parameter.default}" in text, parameter.opts


def test_short_texts_are_of_parameters_that_are_there():
    assert {short_text(p) for c in COMMANDS.values() for p in c.params} >= {*SHORT.values()}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("checkpoint convert", "--to NAME Format: transduce"),
        ("checkpoint verify", "--text FILE File of lines to compare on"),
        ("evaluate", "--json Write one JSON object."),
        ("runs list", "--json Write a JSON object for each, with all"),
        ("checkpoint list", "--json Write a JSON object for each, with all"),
        ("translate", "--to NAME Language to translate into"),
        ("score", "for a translator SOURCE<TAB>TRANSLATION."),
        ("embed", "in.txt -o v.npy"),
        ("embed", "one named .npy is a NumPy array"),
    ],
)
def test_an_option_is_told_as_its_command_means_it(path, told, page):
    assert told in " ".join(page(path, "-h").split())


@pytest.mark.parametrize("path", COMMANDS)
def test_a_short_text_says_nothing_that_the_long_one_does_not(path):
    """Nearly each word of it is one of the long text's."""
    for parameter in COMMANDS[path].params:
        words = set(
            re.findall(r"\w{4,}", (short_text(parameter) or "").lower().partition("; --")[0])
        )
        whole = (parameter.help or "").lower()
        missing = {word for word in words if word.rstrip("s") not in whole}
        assert len(missing) <= len(words) // 2, (parameter.opts, missing)


def test_groups_list_their_commands_and_how_to_learn_more(page):
    assert "checkpoint" in (written := page("", "-h"))
    assert "transduce COMMAND -h shows the options that are used daily." in written
    assert re.search(r"^  encode +Encode each line", page("tokenizer", "-h"), re.M)
    for name in ENVIRONMENT:
        assert f"  {name} " in page("", "--help")


def test_variables_that_the_program_reads_are_documented():
    read = {
        name
        for package in ("cli", "transformer", "tokenizer", "checkpoints", "transduce")
        for file in (ROOT / package).rglob("*.py")
        for name in re.findall(r'"(TRANSDUCE_[A-Z_]+)"', file.read_text(encoding="utf-8"))
    }
    read.discard("TRANSDUCE_KERNEL_LIMITS")  # set by the program for itself
    assert read == {name for name in ENVIRONMENT if name.startswith("TRANSDUCE_")}, (
        "ENVIRONMENT in cli/help/environment.py lists what is read"
    )


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_told_anywhere(flag, place, transduce):
    words = ["tokenizer", "show"]
    done = transduce(*words[:place], flag, *words[place:])
    assert done.code == 0
    assert re.fullmatch(rb"transduce \d+\.\d+\.\d+\n", done.out)


@pytest.mark.parametrize("place", range(3))
def test_a_traceback_is_shown_wherever_debug_stands(place, transduce, monkeypatch):
    monkeypatch.setenv("TRANSDUCE_DEBUG", "")
    words = ["tokenizer", "show", "no-such-file"]
    done = transduce(*words[:place], "--debug", *words[place:])
    assert done.code == 3
    assert b"Traceback" in done.err


@pytest.mark.parametrize(
    "words", ["-q tokenizer train", "tokenizer -q train", "tokenizer train -q", "tokenizer train"]
)
def test_quiet_goes_anywhere(words, transduce, tmp_path):
    (tmp_path / "t.txt").write_text("one two\n" * 9)
    done = transduce(
        *words.split(), tmp_path / "t.txt", "-o", tmp_path / "t.json", "--kind", "char"
    )
    assert done.code == 0
    assert (done.err == b"") == ("-q" in words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("translate --beem 3", "no such option: --beem; did you mean --beam?"),
        ("translate --num-beams 3", "no such option: --num-beams; did you mean --beam?"),
        ("train --lr 3", "no such option: --lr; did you mean --learning-rate?"),
        ("tokenizer show --lr 3", "no such option: --lr (see"),
        ("translate --verbose", "no such option: --verbose (see"),
        ("score --temperature 1", "no such option: --temperature (see"),
        ("trian", "no command is called 'trian'; did you mean train?"),
        ("frobnicate", "no command is called 'frobnicate'; allowed: benchmark,"),
        ("tokenizer shwo x", "no command is called 'shwo'; did you mean show?"),
    ],
)
def test_an_unknown_name_gets_a_suggestion_where_one_is_likely(words, told, transduce):
    done = transduce(*words.split())
    assert done.code == 2
    assert done.err.decode().startswith(f"transduce: {told}")
    assert done.err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "translate",
            "-m/--model MODEL is needed; the variable TRANSDUCE_MODEL can give it, too (see",
        ),
        ("checkpoint average", "MODEL... is needed (see"),
        ("tokenizer show", "PATH is needed (see"),
        (
            "tokenizer encode",
            "-t/--tokenizer PATH is needed (see transduce tokenizer encode --help)",
        ),
        (
            "translate --beam x",
            "--beam is 'x'; it must be a whole number between 1 and 1000",
        ),
        (
            "translate --beam 0",
            "--beam is 0; it must be a whole number between 1 and 1000",
        ),
        ("translate --top-p x", "--top-p is 'x'; it must be a number (see"),
        ("translate --top-k 1.5", "--top-k is '1.5'; it must be a whole number (see"),
        ("translate --min-tokens -1", "--min-tokens is -1; it must be a whole number, at least 0"),
        (
            "translate --dtype",
            "--dtype needs a value: --dtype NAME (see transduce translate --help)",
        ),
        ("translate --json=1", "--json takes no value (see"),
        ("generate -m x It was", "too many arguments: was; put a text of several words in quotes"),
        ("train a b", "too many arguments: b (see"),
    ],
)
def test_a_mistake_is_told_in_few_words(words, told, transduce, monkeypatch):
    monkeypatch.delenv("TRANSDUCE_MODEL", raising=False)
    done = transduce(*words.split())
    assert done.code == 2
    assert done.err.decode().startswith(f"transduce: {told}")


@pytest.mark.parametrize("words", ["", "translate", "tokenizer train", "--debug train"])
def test_help_may_be_asked_for_as_a_command(words, transduce, monkeypatch):
    monkeypatch.setenv("TRANSDUCE_DEBUG", "")
    flags = ["--debug"] if words.startswith("--debug") else []
    words = words.removeprefix("--debug ")
    asked = transduce(*flags, "help", *words.split())
    assert asked.code == 0
    assert asked.out == transduce(*words.split(), "--help").out


def test_a_page_is_shown_in_any_encoding():
    command = [sys.executable, "-m", "cli.app", "checkpoint", "--help"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"Average the weights of several checkpoints" in done.stdout


def test_presets_are_listed_with_their_weights(transduce, monkeypatch):
    written = transduce("train", "--presets").out.decode()
    for name, preset in PRESETS.items():
        size = {} if "vocab_size" in preset.fields else {"vocab_size": OPEN_VOCABULARY}
        assert preset.weights == count_parameters(preset_config(name, **size)), name
        assert f"  {name} " in written
        assert preset.purpose in " ".join(written.split())
    assert " 7.6 M " in written
    monkeypatch.setenv("COLUMNS", "40")
    for option in ("--presets", "--keys"):
        assert max(map(len, transduce("train", option).out.decode().splitlines())) <= 40
    assert max(map(len, written.splitlines())) <= 80


def test_recipe_keys_are_listed_with_defaults_and_meanings(transduce):
    written = transduce("train", "--keys").out.decode()
    text = " ".join(written.split())
    for key in recipe_keys(Recipe):
        assert f"\n{key.name} = " in f"\n{written}"
        assert key.description in text
    assert "training.steps = 10000" in written
    assert "decay of AdamW's second moment; instructions: 0.95; language-model: 0.95" in text


@pytest.mark.parametrize("words", ["translate --help", "train --presets"])
def test_help_starts_without_what_is_slow(words):
    program = (
        f"import sys; sys.argv = ['transduce', *{words.split()}]\n"
        "from cli import app, errors\n"
        "errors.exit_process = lambda code: print(code, file=sys.stderr)\n"
        "app.main()\n"
        "slow = {'torch', 'rich', 'huggingface_hub', 'numpy'} & {*sys.modules}\n"
        "print(slow or 'none', file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "0\nnone\n"
