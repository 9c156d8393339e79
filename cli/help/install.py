"""The completion scripts of shells: shown, or installed where each shell looks for them."""

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import typer

from transformer.errors import ConfigError


class _ScriptPlace(NamedTuple):
    """The place of a shell's script below the home folder, and the line that its settings need."""

    script: str
    settings: str = ""
    line: str = ""


_PLACES = {
    "bash": _ScriptPlace(
        ".bash_completions/transduce.sh", ".bashrc", "source ~/.bash_completions/transduce.sh"
    ),
    "zsh": _ScriptPlace(
        ".zfunc/_transduce", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"
    ),
    "fish": _ScriptPlace(".config/fish/completions/transduce.fish"),
}


def completion_script(shell: str) -> str:
    """Return the script of a shell, named bash, zsh or fish."""
    return (Path(__file__).parent / "shells" / f"transduce.{shell}").read_text(encoding="utf-8")


def install_completion(shell: str, home: Path) -> list[str]:
    """Write the script of a shell, and a line for it into the shell's settings.

    Returns what was done, in lines.
    """
    place, done = _PLACES[shell], []
    script = home / place.script
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(completion_script(shell), encoding="utf-8")
    done.append(f"{script} written")
    if place.settings:
        settings = home / place.settings
        text = settings.read_text(encoding="utf-8") if settings.is_file() else ""
        if place.line not in text:
            settings.write_text(f"{text.rstrip()}\n{place.line}\n".lstrip(), encoding="utf-8")
            done.append(f"{settings} has a new last line: {place.line}")
    return [*done, f"a new {shell} completes transduce"]


def current_shell() -> str:
    """Return the name of the shell that runs this program. Raises ConfigError for another."""
    import shellingham

    try:
        name: str = shellingham.detect_shell()[0]
    except (shellingham.ShellDetectionFailure, OSError):
        name = Path(os.environ.get("SHELL", "")).name
    if name not in _PLACES:
        raise ConfigError(
            f"completion is there for {', '.join(_PLACES)}, not for {name or 'an unknown shell'}"
        )
    return name


def show(context: Any, parameter: Any, value: bool) -> None:
    """Print the script of the current shell and exit."""
    del parameter
    if value and not context.resilient_parsing:
        sys.stdout.write(completion_script(current_shell()))
        raise typer.Exit


def install(context: Any, parameter: Any, value: bool) -> None:
    """Install the script of the current shell and exit."""
    del parameter
    if value and not context.resilient_parsing:
        for line in install_completion(current_shell(), Path.home()):
            sys.stderr.write(f"transduce: {line}\n")
        raise typer.Exit
