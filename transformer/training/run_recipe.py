"""The recipe in a run's folder, sealed: its last line is the checksum of those above."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from checkpoints import write_file

from ..errors import ConfigError
from ..folder_layout import RECIPE, is_run
from ..model_names import likely_model
from .recipe import Recipe, read_toml, recipe_to_toml
from .run_folder import state_folders

__all__ = [
    "RECIPE",
    "missing_run_message",
    "read_run_fields",
    "recipe_notice",
    "sealed_recipe",
    "write_run_recipe",
]
_SEAL = "# To change a setting, give it as an option with --resume. SHA-256 of the lines above: "


def sealed_recipe(recipe: Recipe) -> str:
    """Return a recipe as TOML with a last line that tells if it was changed."""
    text = recipe_to_toml(recipe)
    return f"{text}{_SEAL}{_checksum(text)}\n"


def write_run_recipe(run: Path, recipe: Recipe) -> None:
    """Write the recipe of a run into its folder."""
    write_file(run / RECIPE, sealed_recipe(recipe))


def read_run_fields(run: Path) -> dict[str, Any]:
    """Return the recipe of a run as nested dictionaries; none where there is no recipe.

    A damaged or lost one is read from the newest state that has it, a file without a seal (of an
    older version) as it is. Raises ConfigError if it is damaged and no state has it.
    """
    fields = _read_sealed(run / RECIPE)
    if fields is None:
        fields = _saved(run)
    if fields is not None:
        return fields
    if not (run / RECIPE).is_file():
        return {}
    if _SEAL[:20].encode() in (run / RECIPE).read_bytes():
        raise ConfigError(f"{run / RECIPE} is damaged, and no state has it: begin another run")
    return read_toml(run / RECIPE)


def missing_run_message(run: Path) -> str:
    """Return what is said of a folder that has no run to go on with, nor what to begin one from."""
    begin = "a new run begins from --pairs, from --source and --target, or from --text"
    if is_run(run):
        return f"{run} is a run that was stopped before it had a recipe: {begin}"
    hint = likely_model(run) if not run.exists() else ""
    return f"there is no run in {run} to go on with; {hint or begin}"


def recipe_notice(run: Path) -> str | None:
    """Return a notice if the recipe of a run is read from one of its states."""
    if _read_sealed(run / RECIPE) is not None or _saved(run) is None:
        return None
    state = "that was missing" if not (run / RECIPE).exists() else "that was changed or damaged"
    return (
        f"{run / RECIPE} {state} is written again as it was when the run was saved; settings are "
        "changed by options of --resume, such as --steps"
    )


def _saved(run: Path) -> dict[str, Any] | None:
    recipes = (_read_sealed(state / RECIPE) for state in state_folders(run))
    return next((fields for fields in recipes if fields is not None), None)


def _read_sealed(path: Path) -> dict[str, Any] | None:
    """Return the recipe in a file; None unless its seal is whole."""
    try:
        text, _, seal = path.read_bytes().decode().rpartition(_SEAL)
    except (OSError, UnicodeDecodeError):
        return None
    return tomllib.loads(text) if text and seal == f"{_checksum(text)}\n" else None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
