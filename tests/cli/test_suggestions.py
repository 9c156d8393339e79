"""Names that a mistaken one may mean: of commands, options, presets, keys and all other choices."""

import re
from zlib import crc32

import pytest
import typer

from cli.app import app
from cli.help.foreign_names import FOREIGN_COMMANDS, FOREIGN_OPTIONS
from cli.options.groups import choices_of
from transformer.presets import PRESETS
from transformer.registry import likely_names
from transformer.training.recipe import Recipe
from transformer.training.recipe_keys import likely_keys, recipe_keys

PROGRAM = typer.main.get_command(app)
KEYS = [key.name for key in recipe_keys(Recipe)]


def nodes(command, path=""):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from nodes(inner, f"{path} {name}".strip())


NODES = dict(nodes(PROGRAM))
LEAVES = {path: command for path, command in NODES.items() if not hasattr(command, "commands")}


def long_options(command):
    names = (name for p in command.params for name in (*p.opts, *p.secondary_opts))
    return [name[2:] for name in names if name.startswith("--")]


# Every set of names among which one may be mistaken.
SETS = {
    "presets": [*PRESETS],
    **{path or "transduce": [*c.commands] for path, c in NODES.items() if hasattr(c, "commands")},
    **{f"{path} --": long_options(command) for path, command in LEAVES.items()},
    **{
        f"{path} {p.opts[-1]}": [*choices_of(p)]
        for path, command in LEAVES.items()
        for p in command.params
        if choices_of(p)
    },
}
UNRELATED = (
    *("verbose", "banana", "hello", "world", "foo", "nothing", "xyz", "seven", "graph", "http"),
    *("python", "/dev/null", "1234", "läuft", "日本語", "zz", "q", ""),
)


def slips(name):
    """Yield a name with a letter swapped, left out and doubled, at a place that the name decides.

    Of a name of two letters none is left out: a letter alone means nothing.
    """
    places = [i for i in range(1, len(name) - 1) if name[i] != name[i + 1]]
    place = places[crc32(name.encode()) % len(places)] if places else 0
    if name[place : place + 2] != name[place : place + 2][::-1]:
        yield name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    if len(name) > 2:
        yield name[:place] + name[place + 1 :]
    yield name[: place + 1] + name[place:]


@pytest.mark.parametrize("kind", SETS)
def test_a_slip_of_one_letter_finds_the_name(kind):
    names = SETS[kind]
    for name in names:
        for wrong in slips(name):
            assert wrong in names or name in likely_names(wrong, names), (wrong, name)


@pytest.mark.parametrize("kind", SETS)
def test_an_unrelated_word_finds_nothing(kind):
    found = {word: likely_names(word, SETS[kind]) for word in UNRELATED if word not in SETS[kind]}
    assert {word: names for word, names in found.items() if names} == {}


def test_keys_are_found_without_their_section():
    for key in KEYS:
        for wrong in slips(key.rpartition(".")[2]):
            assert key in likely_keys(wrong, KEYS), (wrong, key)
    assert [word for word in UNRELATED if likely_keys(word, KEYS)] == []


def test_names_of_other_programs_stand_for_what_is_here():
    paths = {"transduce", "--version", *NODES}
    for names in FOREIGN_COMMANDS.values():
        for name in names:
            path, _, option = name.partition(" --")
            assert path in paths, name
            assert not option or f"--{option}" in {n for p in NODES[path].params for n in p.opts}
    assert not {*FOREIGN_COMMANDS} & {*PROGRAM.commands}
    for foreign, meant in FOREIGN_OPTIONS.items():
        holders = []
        for command in LEAVES.values():
            own = {n for p in command.params for n in (*p.opts, str(p.metavar).strip("[]."))}
            if own & {*meant}:
                holders.append(command)
                assert foreign not in own, f"FOREIGN_OPTIONS: {foreign} is an option now"
        assert holders, f"FOREIGN_OPTIONS: nothing here is {meant}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train --preset small", "did you mean translate-small or write-small? (allowed: bart"),
        ("train --config x.toml", "--config; RECIPE is given without an option: transduce train "),
        ("translate --config x.toml", "no such option: --config (see transduce translate"),
        ("translate --input x", "; FILE is given without an option: transduce translate FILE (see"),
        ("generate --input x", "no such option: --input; did you mean --file? (see"),
        ("train --warmup 9", "--warmup; did you mean --set training.warmup=VALUE? (see"),
        ("train --wramup 9", "--wramup; did you mean --set training.warmup=VALUE? (see"),
        ("translate --warmup 9", "no such option: --warmup (see"),
        ("train --model x", "no such option: --model; did you mean --init? (see"),
        ("translate -beam 5", "no such option: -beam; did you mean --beam? (see"),
        ("translate -b 5", "no such option: -b (see"),
        ("translate -q=yes", "a short option takes its value without =, as in -n 5 (see"),
        ("--json translate", "it goes behind a command: transduce COMMAND --json (see transduce -"),
        ("runs --json", "it goes behind a command: transduce runs COMMAND --json (see transduce r"),
        ("convert x", "is called 'convert'; did you mean transduce checkpoint convert? (allowed"),
        ("show x", "did you mean transduce tokenizer show or transduce checkpoint show? (allowed"),
        (
            "tokenizer evaluate",
            "did you mean transduce evaluate? (allowed: decode, encode, show, t",
        ),
        ("tokenize x", "did you mean transduce tokenizer encode? (allowed"),
        ("training", "did you mean train? (allowed"),
        ("runs", "Usage: transduce runs [OPTIONS] COMMAND"),
    ],
)
def test_a_mistake_is_told_with_what_is_likely(words, told, transduce):
    done = transduce(*words.split())
    assert done.code == 2
    assert told in done.err.decode()


@pytest.mark.parametrize("path", NODES, ids=lambda path: path or "transduce")
def test_a_flag_takes_no_value_and_the_page_is_that_of_its_command(path, transduce):
    for parameter in NODES[path].params:
        if getattr(parameter, "is_flag", False):
            name = max(parameter.opts, key=len)
            if name in ("--install-completion", "--show-completion", "-h"):
                continue  # a shell may be named
            done = transduce(*path.split(), f"{name}=yes")
            page = f"transduce {path}".strip()
            assert done.err.decode() == f"transduce: {name} takes no value (see {page} --help)\n"
            assert done.code == 2


@pytest.mark.parametrize("path", ["", "tokenizer", "checkpoint", "runs"])
@pytest.mark.parametrize("flags", [[], ["-q"], ["--debug"]], ids=str)
def test_without_a_command_the_short_page_is_shown(path, flags, transduce, monkeypatch):
    monkeypatch.setenv("TRANSDUCE_DEBUG", "")
    done = transduce(*path.split(), *flags)
    assert (done.code, done.out) == (2, b"")
    assert done.err == transduce(*path.split(), "-h").out
    assert not re.search(rb"\x1b", done.err)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--beam 5 --beam 1", "--beam is given 2 times: 1 is used, 5 is ignored"),
        ("--beam 5 --beam=3 --beam 1", "--beam is given 3 times: 1 is used, 5, 3 are ignored"),
        ("-o a -ob --output c", "-o/--output is given 3 times: c is used, a, b are ignored"),
        ("--device cpu --device cuda", "--device is given 2 times: cuda is used, cpu is ignored"),
        ("--beam 5 --beam 5", ""),  # nothing is ignored
        ("--json --json -q", ""),
        ("-m a -m b", ""),  # which is an ensemble
        ("--must a --must b", ""),
        ("--beam 5", ""),
        ("--beam 5 --beam x", None),  # the mistake alone
        ("--beam 5 --beam 1 -h", None),
    ],
)
def test_an_option_that_is_given_twice_is_told(words, told, transduce, monkeypatch):
    monkeypatch.setenv("TRANSDUCE_DEVICE", "cuda:7")  # which an option wins over
    monkeypatch.setenv("TRANSDUCE_MODEL", "x")
    done = transduce("translate", *words.split(), "/no/such/file")
    lines = done.err.decode().splitlines()
    if told is None:
        assert "is given" not in done.err.decode()
    else:
        assert lines[:-1] == [f"transduce: {told}"] * bool(told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("embed -m a -m b", "-m/--model is given 2 times: b is used, a is ignored"),
        ("train --set seed=1 --set seed=2 --set data.pairs=x", "--set seed is given 2 times: 2 is"),
        ("train --set seed=1 --set seed=1", ""),
        ("train --pairs a --pairs b", ""),
        ("tokenizer train --byte-fallback --no-byte-fallback x", "--byte-fallback/--no-byte-fallb"),
        ("embed -m a --no-normalize --normalize", "--normalize/--no-normalize is given 2 times: "),
        ("checkpoint average x -o /no -o /no/such", "-o/--output is given 2 times: /no/such is"),
    ],
)
def test_every_command_tells_it(words, told, transduce):
    lines = transduce(*words.split()).err.decode().splitlines()
    assert [line for line in lines if " times: " in line] == [
        line for line in lines if told and line.startswith(f"transduce: {told}")
    ]
    assert bool(told) == (len(lines) == 2)


@pytest.mark.parametrize("command", ["show", "encode -t", "decode -t"])
def test_a_missing_tokenizer_is_told_with_a_near_one(command, transduce, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.json").touch()
    done = transduce("tokenizer", *command.split(), "bok.json")
    assert (done.code, done.err.count(b"\n")) == (3, 1)
    assert b"bok.json: no such file or directory; did you mean book.json?" in done.err
