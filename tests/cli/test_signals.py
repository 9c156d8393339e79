"""Signals that ask a run to save and leave, and a terminal that is closed."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkpoints import read_json
from cli.console import LastingStderr
from cli.signals import StopRequest
from tests.training.faulty_processes import Program
from tests.training.toys import toy_recipe
from transformer.training.recipe import recipe_to_toml

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU]


@pytest.fixture(autouse=True)
def harmless() -> Iterator[None]:
    """A signal that nobody asks for does not end the tests."""
    before = {number: signal.signal(number, lambda *_: None) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_a_request_once_there_is_something_to_save(capsys, number: int) -> None:
    with StopRequest() as stop:
        stop.defer_signals()
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        os.kill(os.getpid(), signal.SIGHUP)  # the shell's, after the system's
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    told = capsys.readouterr().err.splitlines()
    again = "; press Ctrl-C again to exit at once" if number == signal.SIGINT else ""
    assert told == [f"transduce: finishing the step and saving{again}"]


@pytest.mark.parametrize("number", STOPPING)
def test_before_that_it_ends_the_work_and_others_do_not_disturb_the_tidying(number: int) -> None:
    with StopRequest():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        except KeyboardInterrupt:
            pytest.fail("the second signal interrupts, too")


def test_a_run_under_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            stop.defer_signals()
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_while_stderr_is_written_to_is_no_error(monkeypatch, capfd) -> None:
    class Reentered(io.StringIO):
        def write(self, text: str) -> int:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    monkeypatch.setattr(sys, "stderr", Reentered())
    with StopRequest() as stop:
        stop.defer_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
    assert capfd.readouterr().err == "transduce: finishing the step and saving\n"


def test_what_a_closed_terminal_refuses_is_dropped(monkeypatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        lasting = LastingStderr()
        assert lasting.isatty()
        lasting.write("one\n")
        lasting.flush()
        assert os.read(ours, 99) == b"one\r\n"
        os.close(ours)
        lasting.write("two\n")
        lasting.flush()
        with pytest.raises(OSError, match="Input/output error"):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), theirs)  # or closing it would fail, too


@pytest.fixture(scope="module")
def program(fork_server) -> Program:
    return Program(fork_server)


def write_recipe(folder: Path, **training: object) -> Path:
    file = folder / "recipe.toml"
    file.write_text(recipe_to_toml(toy_recipe(folder, **training)))
    return file


def test_a_stopped_run_says_what_is_saved_and_how_to_go_on(program, tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "a run"
    command = ["train", recipe, "-o", run, "--device", "cpu"]
    ended = program.run(*command, folder=run, signal_number=signal.SIGHUP, at=12)
    last = ended.err.splitlines()[-1]
    assert (ended.code, last) == (
        130, "transduce: interrupted; nothing was saved yet: the same command begins again"
    )  # fmt: skip
    ended = program.run(*command, folder=run, signal_number=signal.SIGHUP, at=150)
    *_, stopped, last = ended.err.splitlines()
    step = int(read_json(run / "run.json")["state"].rpartition("-")[2])
    assert stopped.startswith(f"transduce: interrupted and saved at step {step:,}, in 0:")
    go_on = f"transduce train --resume -o '{run}' --device cpu"
    assert (ended.code, last) == (130, f"transduce: go on with: {go_on}")
    ended = program.run(*command, "--resume", folder=run, signal_number=signal.SIGTERM, at=8)
    assert ended.err.splitlines()[-1] == (
        f"transduce: interrupted; saved last at step {step:,}; go on with: {go_on}"
    )
    ended = program.run(*command, "--resume", "-q")
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.integration
def test_closing_the_terminal_saves(fork_server, tmp_path: Path) -> None:
    """The program on a terminal of its own, whose window is closed while it draws."""
    run = tmp_path / "run"
    command = ["train", write_recipe(tmp_path, steps=100_000), "-o", run]
    ours, theirs = pty.openpty()
    running = fork_server.start(
        command, stdin=theirs, stdout=theirs, stderr=theirs, in_terminal=True,
        environment={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    log = run / "metrics.jsonl"
    while not log.exists() or log.read_bytes().count(b"\n") < 8:
        os.read(ours, 9999)
        assert running.poll() is None
        time.sleep(0.01)
    os.close(ours)
    assert running.wait(120) == 130
    last = json.loads(log.read_text().splitlines()[-1])["step"]
    assert read_json(run / "run.json")["state"] == f"training/step-{last:08d}"


MODULE, SCRIPT = ["-m", "transduce"], ["-c", "from cli.program import main; main()"]


@pytest.mark.parametrize(
    ("start", "module"), [(MODULE, "msgspec"), (MODULE, "typer"), (SCRIPT, "typer")]
)
def test_ctrl_c_in_the_imports_of_the_program_is_one_line(tmp_path, start, module) -> None:
    interrupt = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    (tmp_path / f"{module}.py").write_text(interrupt)
    assert _interrupted([*start, "--version"], tmp_path) == (130, "transduce: interrupted\n")


def test_ctrl_c_in_an_import_of_a_command_ends_it_whatever_the_library_catches(tmp_path) -> None:
    (tmp_path / "torch.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    import time; time.sleep(9)\nexcept BaseException:\n    pass\n"
    )
    command = [*SCRIPT, "train", "--pairs", "pairs.tsv", "--plan"]
    assert _interrupted(command, tmp_path) == (130, "transduce: interrupted\n")


def _interrupted(command: list[str], modules: Path) -> tuple[int, str]:
    """Return the exit code and stderr of Python with modules that end it."""
    paths = os.pathsep.join([str(modules), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_library_answers_to_ctrl_c_as_its_program_does() -> None:
    code = "import signal, transduce; print(signal.getsignal(signal.SIGINT))"
    assert "default_int_handler" in subprocess.check_output([sys.executable, "-c", code], text=True)
