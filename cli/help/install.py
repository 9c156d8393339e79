"""The completion scripts of shells: shown, or installed where each shell looks for them."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import typer

from transformer.errors import ConfigError

SHELL_NAME = "transduce.shell"  # in a context's `meta`: the word behind an option of completion


class _ScriptPlace(NamedTuple):
    """The place of a shell's script, and the line that its settings need.

    Both lie in a folder that a variable of the environment names, or else below the home folder.
    """

    script: str
    script_folder: tuple[str, str] = ("", "")  # the variable, and the folder without it
    settings: str = ""
    settings_folder: tuple[str, str] = ("", "")
    line: str = ""


_PLACES = {
    "bash": _ScriptPlace(
        ".bash_completions/transduce.sh",
        settings=".bashrc",
        line="source ~/.bash_completions/transduce.sh",
    ),
    "zsh": _ScriptPlace(
        ".zfunc/_transduce",
        settings=".zshrc",
        settings_folder=("ZDOTDIR", ""),
        line="fpath+=~/.zfunc; autoload -Uz compinit; compinit",
    ),
    "fish": _ScriptPlace(
        "fish/completions/transduce.fish", script_folder=("XDG_CONFIG_HOME", ".config")
    ),
}


def completion_script(shell: str) -> str:
    """Return the script of a shell, named bash, zsh or fish."""
    return (Path(__file__).parent / "shells" / f"transduce.{shell}").read_text(encoding="utf-8")


def install_completion(shell: str, home: Path) -> list[str]:
    """Write the script of a shell, and a line for it into the shell's settings.

    Returns what was done, in lines.
    """
    place, done = _PLACES[shell], []
    script = _folder(home, place.script_folder) / place.script
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(completion_script(shell), encoding="utf-8")
    done.append(f"{script} written")
    if place.settings:
        settings = _folder(home, place.settings_folder) / place.settings
        old, line = settings.read_bytes() if settings.exists() else b"", place.line.encode()
        if line not in old:
            settings.parent.mkdir(parents=True, exist_ok=True)
            with settings.open("ab") as stream:
                stream.write((b"\n" if old and not old.endswith(b"\n") else b"") + line + b"\n")
            done.append(f"{settings} has a new last line: {place.line}")
    return [*done, f"a new {shell} completes transduce"]


def _folder(home: Path, place: tuple[str, str]) -> Path:
    variable, default = place
    return Path(os.environ.get(variable) or home / default)


def checked_shell(name: str) -> str:
    """Return the shell of this name, else the one that runs this program, else $SHELL.

    Raises ConfigError for one that has no script.
    """
    if not name:
        import shellingham

        with suppress(shellingham.ShellDetectionFailure, OSError):
            name = shellingham.detect_shell()[0]
        if name not in _PLACES:  # a script that runs this program, perhaps
            name = Path(os.environ.get("SHELL") or name).name
    if name not in _PLACES:
        shown = name[:100] or "an unknown shell"
        raise ConfigError(
            f"completion is there for {', '.join(_PLACES)}, not for {shown}; name one of them"
        )
    return name


def show(context: Any, parameter: Any, value: bool) -> None:
    """Print the script of a shell and exit."""
    del parameter
    if value and not context.resilient_parsing:
        sys.stdout.write(completion_script(checked_shell(context.meta.get(SHELL_NAME, ""))))
        raise typer.Exit


def install(context: Any, parameter: Any, value: bool) -> None:
    """Install the script of a shell and exit."""
    del parameter
    if value and not context.resilient_parsing:
        for line in install_completion(
            checked_shell(context.meta.get(SHELL_NAME, "")), Path.home()
        ):
            sys.stderr.write(f"transduce: {line}\n")
        raise typer.Exit
