"""Two tiny trained models, and the program itself: in this process or in one of its own."""

import io
import os
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from tests.models import tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transformer.export import save_model
from transformer.loading import find_model
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run

from .naming import command_of, missing_options
from .terminals import Program

torch.set_num_threads(1)  # two on a busy machine wait for each other: 1,100 ms a step, not 8

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "größer", "日本"]
PAIRS = [(f"{a} {b} {c}", f"{c} {b} {a}") for a in WORDS for b in WORDS for c in WORDS]
SIZE = {"d_model": 32, "d_ff": 64, "heads": 2, "decoder_layers": 1, "dropout": 0.0}
SCHEDULE = {"learning_rate": 1e-2, "warmup": 5, "batch_tokens": 512}

Ended = namedtuple("Ended", "code out err")


def train(folder: Path, **recipe: object) -> Path:
    for _ in Run(resolve_recipe(None, recipe, []), folder, device="cpu").events():
        pass
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """A TSV file of texts and the same texts with their words in reverse."""
    path = tmp_path_factory.mktemp("text") / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS))
    return path


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """Running text."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"{source} {target}.\n" for source, target in PAIRS))
    return path


@pytest.fixture(scope="session")
def translator(tmp_path_factory, pairs):
    """The run folder of an encoder-decoder of 64 tokens' context."""
    return train(
        tmp_path_factory.mktemp("translator"),
        data={"pairs": [str(pairs)], "max_tokens": 64},
        tokenizer={"vocab_size": 100},
        model={"preset": "translate-tiny", "encoder_layers": 1, **SIZE},
        training={"steps": 60, **SCHEDULE},
    )


@pytest.fixture(scope="session")
def writer(tmp_path_factory, text):
    """The run folder of a decoder of 32 tokens' context."""
    return train(
        tmp_path_factory.mktemp("writer"),
        objective="language-model",
        data={"text": [str(text)]},
        tokenizer={"vocab_size": 300},
        model={"preset": "write-tiny", **SIZE},
        training={"steps": 60, "context": 32, **SCHEDULE},
    )


@pytest.fixture(scope="session")
def broken(tmp_path_factory, translator):
    """Copies of the translator's model, each damaged in one way, by name."""
    made = {}

    def copy(name, damage):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name, numbered=False)
            for path in find_model(translator).iterdir():
                (made[name] / path.name).write_bytes(path.read_bytes())
            damage(made[name])
        return made[name]

    return copy


@pytest.fixture(scope="session")
def lower_case(tmp_path_factory):
    """A translator whose tokenizer reads capitals as small letters."""
    options = TrainingOptions(kind="bpe", vocab_size=60, lowercase=True)
    tokenizer = train_tokenizer([" ".join(WORDS[:4])] * 9, options)
    model = tiny_model("encoder-decoder", vocab_size=tokenizer.vocab_size, max_positions=64)
    folder = tmp_path_factory.mktemp("lower")
    save_model(folder, model.config, model.state_dict(), tokenizer, card={})
    return folder


@pytest.fixture
def transduce(monkeypatch, capfdbinary):
    """Run the program in this process. Gives its exit code, stdout and stderr as bytes.

    What it tells names no option that the command lacks.

    With None for stdin, `sys.stdin` is as it was.
    """

    def run(*arguments, stdin=b""):
        from cli import app
        from cli import errors as console

        codes = []
        monkeypatch.setattr(console, "exit_process", codes.append)
        monkeypatch.setattr(sys, "argv", ["transduce", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        try:
            app.main()
        except SystemExit as stop:
            codes.append(stop.code)
        assert len(codes) == 1
        ended = Ended(codes[0], *capfdbinary.readouterr())
        given = {word.partition("=")[0] for word in sys.argv}
        told, command = ended.err.decode("utf-8", "replace"), command_of(sys.argv[1:])
        for name in [] if told.startswith("Usage:") else missing_options(command, told):
            assert name.split()[-1] in given, f"{command} names {name}, which it lacks: {told}"
        return ended

    return run


@pytest.fixture
def process():
    """Start the program in a process of its own; a subprocess.Popen."""
    started = []

    def start(*arguments, python=(), **streams):
        command = [sys.executable, *python, "-m", "cli.app", *map(str, arguments)]
        pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE) | streams
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        program = subprocess.Popen(command, **pipes, env=environment)
        started.append((program, threading.Timer(60, program.kill)))
        started[-1][1].start()
        return program

    yield start
    for program, timer in started:
        timer.cancel()
        program.kill()
        program.communicate()


@pytest.fixture
def forked(fork_server):
    """Start the program in a process whose imports are done; much like a subprocess.Popen."""
    started = []

    def start(*arguments, **streams):
        program = fork_server.start(arguments, **streams)
        started.append((program, threading.Timer(60, program.kill)))
        started[-1][1].start()
        return program

    yield start
    for program, timer in started:
        timer.cancel()
        program.close()


@pytest.fixture
def in_terminal(fork_server):
    """Start the program in a terminal of its own; a Program."""
    started = []

    def start(*arguments, fresh=False, **options):
        started.append(Program(arguments, server=None if fresh else fork_server, **options))
        return started[-1]

    yield start
    for program in started:
        program.process.kill()
        program.process.wait()
