"""A shell that runs the pages' commands in this process: pipes, redirections, a few programs."""

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import pytest

from cli import app
from cli import errors as program
from demo import dates


def run_script(script: str, rewrite: Callable[[str], str] = str) -> str:
    """Run the commands in the current folder; return what they write to stdout.

    `rewrite` may change each command. Raises AssertionError for a command that fails.
    """
    lines = script.replace("\\\n", " ").replace("|\n", "| ").splitlines()
    written = [_run_command(rewrite(line.strip())) for line in lines if line.strip()]
    return b"".join(written).decode()


def _run_command(command: str) -> bytes:
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split = True
    data, written = b"", b""
    for is_pipe, words in groupby(lexer, "|".__eq__):
        if not is_pipe:
            arguments, source, target = _redirections(list(words))
            data = data if source is None else source.read_bytes()
            name, *rest = arguments
            assert name in _PROGRAMS, f"{command}: no program {name!r} in {__name__}"
            try:
                data = _PROGRAMS[name](rest, data)
            except AssertionError as error:
                raise AssertionError(f"{command}: {error}") from None
            if target is not None:
                target.write_bytes(data)
            written = b"" if target is not None else data
    return written


def _redirections(words: list[str]) -> tuple[list[str], Path | None, Path | None]:
    """Return the words without redirections, and the files for stdin and stdout."""
    files: dict[str, Path] = {}
    for sign in ("<", ">"):
        if sign in words:
            index = words.index(sign)
            files[sign] = Path(words[index + 1])
            del words[index : index + 2]
    return words, files.get("<"), files.get(">")


def _transduce(arguments: Sequence[str], data: bytes) -> bytes:
    """Run the program as it is run from a terminal. Raises AssertionError if it fails."""
    out, err = io.BytesIO(), io.StringIO()
    codes: list[int] = []
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.TextIOWrapper(out, "utf-8")) as stdout,
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(program, "exit_process", codes.append)
        patch.setattr(sys, "argv", ["transduce", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        try:
            app.main()
        except SystemExit as stop:
            codes.append(int(stop.code or 0))
        stdout.flush()
        written = out.getvalue()
    assert codes == [0], f"exit code {codes}: {err.getvalue()}"
    return written


def _python(arguments: Sequence[str], data: bytes) -> bytes:
    """Run what pages run with Python: pytest, and the demo's programs, which write less here."""
    del data
    match arguments:
        case ["-m", "pytest", *tests]:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                code = pytest.main(["-p", "no:cacheprovider", *tests])
            assert code == 0, out.getvalue()
        case ["demo/dates.py", folder]:
            dates.write(Path(folder), {"train": 200, "valid": 10, "test": 10})
        case _:
            raise AssertionError(f"{arguments} is not in {__name__}")
    return b""


def _cat(arguments: Sequence[str], data: bytes) -> bytes:
    return b"".join(Path(name).read_bytes() for name in arguments) if arguments else data


def _echo(arguments: Sequence[str], data: bytes) -> bytes:
    del data
    return f"{' '.join(arguments)}\n".encode()


def _head(arguments: Sequence[str], data: bytes) -> bytes:
    count, lines = _counted_lines(arguments, data)
    return b"".join(lines[:count])


def _tail(arguments: Sequence[str], data: bytes) -> bytes:
    count, lines = _counted_lines(arguments, data)
    return b"".join(lines[-count:])


def _counted_lines(arguments: Sequence[str], data: bytes) -> tuple[int, list[bytes]]:
    count = next((int(word) for word in arguments if word.isdecimal()), 10)
    names = [word for word in arguments if Path(word).is_file()]
    return count, _cat(names, data).splitlines(keepends=True)


def _export(arguments: Sequence[str], data: bytes) -> bytes:
    del data
    os.environ.update(word.split("=", 1) for word in arguments)
    return b""


_PROGRAMS: dict[str, Callable[[Sequence[str], bytes], bytes]] = {
    "cat": _cat,
    "echo": _echo,
    "head": _head,
    "tail": _tail,
    "export": _export,
    "python": _python,
    "transduce": _transduce,
}
