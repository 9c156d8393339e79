"""The layers of a recipe: a resumed run, a file, settings and flags; the last one wins."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..durations import parse_duration
from ..errors import ConfigError
from .packaged_recipes import recipe_file
from .recipe import merge, parse_setting, read_toml
from .run_recipe import read_run_fields

_LENGTHS = ("epochs", "time")  # of a run, in place of steps


def given_fields(
    path: Path | None,
    flags: Mapping[str, Any],
    settings: Sequence[str],
    *,
    resumed: Path | None = None,
) -> dict[str, Any]:
    """Return the fields that flags, settings, a recipe file and the resumed run's recipe give.

    Raises what `read_layers` and `merged_layers` raise.
    """
    return merged_layers(read_layers(path, flags, settings, resumed=resumed))


def read_layers(
    path: Path | None,
    flags: Mapping[str, Any],
    settings: Sequence[str],
    *,
    resumed: Path | None = None,
) -> list[Mapping[str, Any]]:
    """Return the fields of the resumed run, those of the recipe file and those of options.

    Each file is read once. Raises ConfigError for files that are no recipe, and for options that
    give no length where they name one.
    """
    options = merge(*map(parse_setting, settings), flags)
    _check_lengths(options)
    return [
        read_run_fields(resumed) if resumed else {},
        read_toml(recipe_file(path)) if path is not None else {},
        options,
    ]


def _check_lengths(options: Mapping[str, Any]) -> None:
    """Raise ConfigError for epochs that are not above 0, and for an empty time.

    In a file they say that the length is told otherwise; nobody types them for that.
    """
    training = options.get("training")
    if not isinstance(training, Mapping):  # a mistake that is told later
        return
    epochs = training.get("epochs")
    if isinstance(epochs, int | float) and epochs <= 0:
        raise ConfigError(f"training.epochs is {epochs:g}; it must be above 0")
    if "time" in training and not training["time"]:
        parse_duration("training.time", str(training["time"]))  # which tells what it must be


def merged_layers(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of layers, of which the last one wins.

    Steps of a layer take the place of epochs and time in those below, and the other way round.
    Raises ConfigError for a layer with both.
    """
    fields: dict[str, Any] = {}
    for layer in layers:
        fields = merge(_without_other_lengths(fields, layer), layer)
    return without_empty_lengths(fields)


def without_empty_lengths(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields without epochs and time that say nothing."""
    training = fields.get("training")
    if not isinstance(training, dict):
        return fields
    told = {key: value for key, value in training.items() if value or key not in _LENGTHS}
    return {**fields, "training": told}


def _without_other_lengths(fields: dict[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without what a layer above them replaces by another measure of length."""
    training = layer.get("training")
    if not isinstance(training, Mapping):  # a mistake that is told later
        return fields
    lengths = [key for key in _LENGTHS if training.get(key)]
    if lengths and "steps" in training:
        raise ConfigError(
            f"training.steps and training.{lengths[0]} both say how long to train: give one of them"
        )
    dropped = {"steps"} if lengths else set(_LENGTHS) if "steps" in training else set()
    below = fields.get("training")
    if not isinstance(below, dict):
        return fields
    return {**fields, "training": {k: v for k, v in below.items() if k not in dropped}}
