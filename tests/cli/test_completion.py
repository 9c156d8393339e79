"""Completion: what may stand at the cursor, and the scripts of real shells."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from cli.app import app
from cli.help.completion import completions
from cli.help.install import completion_script, install_completion

ROOT = Path(__file__).parent.parent.parent
COMMAND = typer.main.get_command(app)


def values(*words):
    return [item.value or item.kind for item in completions(COMMAND, list(words))]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A current folder with a run, models, and folders without any."""
    names = "runs/de/run.json deep/models/x/config.json empty/no/notes.txt .hidden/config.json "
    names += "hub/models--me--tiny/refs/main far/a/b/c/config.json"
    for name in ["my models/m/config.json", *names.split()]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))  # of other processes
    return tmp_path


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["tra"], ["train", "translate"]),
        (["tokenizer", "en"], ["encode"]),
        (["-q", "tokenizer", "s"], ["show"]),
        (["nonsense", ""], []),
        (["train", "--pre"], ["--preset", "--presets"]),
        (["train", "--preset", "gpt2-"], ["gpt2-medium", "gpt2-large", "gpt2-xl"]),
        (["train", "--preset=translate-t"], ["--preset=translate-tiny"]),
        (["train", "--preset", "=", "translate-t"], ["translate-tiny"]),
        (["train", "--preset", "="], None),
        (["train", "--preset", "base", "--objective", "t"], ["translation", "tagging"]),
        (["train", "--set", "training.warm"], ["training.warmup="]),
        (["train", "multi"], ["multi30k-en-de", "file"]),
        (["translate", "--device", "c"], ["cpu", "cuda"]),
        (["translate", "--stop", "x", "--dty"], ["--dtype"]),
        (["translate", "--dtype", ""], ["auto", "float32", "bfloat16", "float16", "int8"]),
        (["translate", "--beam", "5", "--ear"], ["--early-stopping"]),
        (["translate", "a.txt", ""], ["file"]),
        (["translate", "--", "--dty"], ["file"]),
        (["translate", "--", "--dtype", "b"], ["file"]),
        (["translate", "--glossary", ""], ["file"]),
        (["train", "-o", ""], ["folder"]),
        (["translate", "--stop", ""], []),
        (["generate", "a", "b"], []),
        (["embed", "--no-n"], ["--no-normalize"]),
        (["score", "--dtype=bf"], ["--dtype=bfloat16"]),
    ],
)
def test_what_may_follow(words, answers):
    found = values(*words)
    assert found == answers if answers is not None else len(found) > 10


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (["translate", "-m", ""], ["deep", "hub", "my models", "runs", "me/tiny"]),
        (["translate", "--model", "runs/"], ["runs/de"]),
        (["translate", "-m", "deep/m"], ["deep/models"]),
        (["translate", "-m", "./r"], ["./runs"]),
        (["translate", "-m", ".h"], [".hidden"]),
        (["translate", "-m", "empty/"], []),
        (["translate", "-m", "nowhere/x"], []),
        (["translate", "-m", "me/"], ["me/tiny"]),
        (["checkpoint", "show", "ru"], ["runs"]),
        (["checkpoint", "verify", "runs/de", "de"], ["deep"]),
        (["train", "--init", "ru"], ["runs"]),
    ],
)
def test_models_are_folders_that_hold_some(words, answers, folders):
    (folders / "hub" / "config.json").touch()
    assert values(*words) == answers


def test_every_option_and_command_completes():
    for name, command in COMMAND.commands.items():
        if not hasattr(command, "commands"):
            names = {n for p in command.params for n in (*p.opts, *p.secondary_opts)}
            assert {*values(name, "-")} == {n for n in names if n.startswith("-")}
    assert "--install-completion" in values("--")


ASKED = {
    "commands": "tra",
    "options": "translate\x1f--d",
    "choices": "translate\x1f--dtype\x1fb",
    "folders": "translate\x1f-m\x1fru",
    "recipes": "train\x1fmul",
    "files": "translate\x1f--glossary\x1fx",
}


@pytest.mark.parametrize("kind", ASKED)
def test_an_answer_needs_nothing_slow(kind):
    """Without torch and rich an answer takes 0.1 to 0.15 s, most of it Python's start."""
    slow = {"torch", "rich", "numpy", "tokenizers", "huggingface_hub.hf_api", "httpx2"}
    program = (
        f"import os, sys; os.environ |= {{'_TRANSDUCE_COMPLETE': 'bash', '_TRANSDUCE_WORDS':"
        f"{ASKED[kind] + chr(31)!r}}}\n"
        "from cli import app\n"
        f"def leave(code): print({slow} & {{*sys.modules}} or 'none', code)\n"
        "app.exit_process = leave\n"
        "try: app.main()\n"
        "except SystemExit: pass\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert "none 0" in done.stdout.splitlines()


def test_folders_that_cannot_all_be_looked_into_are_left_to_the_shell(folders, monkeypatch):
    monkeypatch.setattr("cli.help.models._ENTRIES", 1)
    assert values("translate", "-m", "")[-1] == "folder"
    monkeypatch.setattr("cli.help.models._SECONDS", -1)
    assert values("translate", "-m", "") == ["folder"]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program `transduce` into the path of shells."""
    script = tmp_path / "bin" / "transduce"
    script.parent.mkdir()
    run = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m cli.app"
    script.write_text(f'#!/bin/sh\n{run} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return script


def typed(command, text, end, seconds=40):
    """Type into an interactive shell; return what it shows, up to `end`."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "dumb", "PS1": "> ", "COLUMNS": "200"}
        os.execvp(command[0], command)
    os.write(terminal, text.encode())
    shown, limit = "", time.monotonic() + seconds
    try:
        while end not in shown and time.monotonic() < limit:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 10_000).decode(errors="replace")
    except OSError:  # the shell has ended
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    return shown


SHELLS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}


@pytest.mark.integration
@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes(shell, program, folders):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed (apt-get install {shell})")
    script = folders / "script"
    start = "autoload -Uz compinit; compinit -u; " if shell == "zsh" else ""
    script.write_text(start + completion_script(shell))
    line = "transduce transl\t--dty\tbf\t-m de\tmo\tx\t\x01echo '<' \x05 '>' ; exit\r"
    shown = typed(SHELLS[shell], f"source {script}\r{line}", " >\r\n")
    slash = "/" if shell == "bash" else ""  # zsh takes it away before a space
    assert f"< transduce translate --dtype bfloat16 -m deep/models/x{slash} >" in shown


@pytest.mark.integration
def test_fish_completes(program, folders):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed (apt-get install fish)")
    script = folders / "script"
    script.write_text(completion_script("fish"))
    lines = ["transl", "translate --dty", "translate --dtype b", "translate -m my", "translate "]
    asked = "; ".join(f"complete -C 'transduce {line}'" for line in lines)
    command = ["fish", "--no-config", "-c", f"source {script}; {asked}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert answers[:4] == ["translate", "--dtype", "bfloat16", "my models/"]
    assert {"deep/", "empty/", "script"} <= {*answers[4:]}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_installing_twice_changes_nothing_more(shell, tmp_path, monkeypatch):
    monkeypatch.delenv("ZDOTDIR", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'")
    first = install_completion(shell, tmp_path)
    kept = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    second = install_completion(shell, tmp_path)
    assert kept == {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert (
        (tmp_path / ".bashrc")
        .read_text()
        .startswith("alias ll='ls -l'\n" if shell == "bash" else "alias")
    )
    assert len(second) == len(first) - (shell != "fish")
    assert completion_script(shell) in kept.values()


def test_the_script_is_shown_for_the_shell_that_runs(transduce, monkeypatch):
    import shellingham

    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("zsh", "/bin/zsh"))
    done = transduce("--show-completion")
    assert (done.code, done.out.decode()) == (0, completion_script("zsh"))
    for words in (["--show-completion", "fish"], ["-q", "--show-completion=fish"]):
        assert transduce(*words).out.decode() == completion_script("fish")
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("tcsh", "/bin/tcsh"))
    monkeypatch.setenv("SHELL", "/usr/bin/bash")
    assert transduce("--show-completion").out.decode() == completion_script("bash")
    monkeypatch.setenv("SHELL", "/usr/bin/tcsh")
    for words in (["--install-completion"], ["--install-completion", "tcsh"]):
        done = transduce(*words)
        assert (done.code, done.err.count(b"\n")) == (2, 1)
        assert b"there for bash, zsh, fish, not for tcsh" in done.err


def test_settings_keep_all_their_bytes_and_lie_where_the_shell_reads_them(tmp_path, monkeypatch):
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    (home / ".bashrc").write_bytes(old := b"\n\n# gr\xfc\xdfe\n\n")
    install_completion("bash", home)
    assert (home / ".bashrc").read_bytes().startswith(old + b"source ~/")
    monkeypatch.setenv("ZDOTDIR", str(other))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(other))
    install_completion("zsh", home)
    install_completion("fish", home)
    assert (other / ".zshrc").read_bytes().startswith(b"fpath")
    assert {".zshrc", "fish"} == {path.name for path in other.iterdir()}


def test_an_answer_into_a_closed_pipe_is_quiet():
    environment = {**os.environ, "_TRANSDUCE_COMPLETE": "bash", "_TRANSDUCE_WORDS": "\x1f"}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cli.app"]
    done = subprocess.run(command, stdout=writing, stderr=-1, env=environment, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
