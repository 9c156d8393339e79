"""The objective that follows from the texts of a recipe, and the lowest layer of its settings."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ...errors import ConfigError, UnknownNameError
from ...evaluation import can_score_translations
from ...presets import PRESETS
from ...registry import suggest
from ..defaults import NOISE_SECTIONS
from ..recipe import Recipe, merge
from ..selection import LOSS
from . import OBJECTIVES


def choose_objective(fields: Mapping[str, Any]) -> str:
    """Return the objective that is named, or else that of the texts and the preset that are named.

    Raises UnknownNameError for a name that is none, and ConfigError for texts that it does not
    read, or of two kinds, and for noise that it does not make.
    """
    data = fields.get("data")
    named = data if isinstance(data, Mapping) else {}
    readers = _readers([key for one in OBJECTIVES.values() for key in one.texts if named.get(key)])
    first = next(iter(readers.values()), [Recipe().objective])
    objective = str(fields.get("objective", _fitting(first, fields)))
    if objective not in OBJECTIVES:
        raise UnknownNameError(f"objective is {objective!r}; {suggest(objective, OBJECTIVES)}")
    for key, names in readers.items():
        if objective not in names:
            raise ConfigError(
                f"the objective {objective} reads no {_flag(key)}, which is for {names[0]}"
            )
    without = msgspec.to_builtins(Recipe())
    for reader, section in NOISE_SECTIONS.items():
        if reader != objective and fields.get(section) not in (None, {}, without[section]):
            raise ConfigError(
                f"{section} is for the objective {reader}, and this one is {objective}"
            )
    return objective


def _readers(keys: list[str]) -> dict[str, list[str]]:
    """Return the objectives that read the texts of each key. Raises ConfigError for two kinds."""
    readers = {key: [n for n, one in OBJECTIVES.items() if key in one.texts] for key in keys}
    kinds: dict[str, str] = {}
    for key, names in readers.items():
        kinds.setdefault(names[0], key)
    if len(kinds) > 1:
        parts = " and ".join(f"{_flag(key)} is for {name}" for name, key in kinds.items())
        raise ConfigError(f"{parts}: one run trains for one of them; leave the other out")
    return readers


def _fitting(names: list[str], fields: Mapping[str, Any]) -> str:
    """Return the first of some objectives, or the one that a preset of another shape is for."""
    model = fields.get("model")
    preset = str(model.get("preset")) if isinstance(model, Mapping) else ""
    if preset not in PRESETS or PRESETS[preset].fields["shape"] in OBJECTIVES[names[0]].shapes:
        return names[0]
    own = (name for name in names if preset in OBJECTIVES[name].rules.presets)
    shape = PRESETS[preset].fields["shape"]
    fitting = (name for name in names if shape in OBJECTIVES[name].shapes)
    return next(own, next(fitting, names[0]))


def default_fields(objective: str) -> dict[str, Any]:
    """Return the defaults of an objective: validation by loss where there is no sacreBLEU."""
    fields = OBJECTIVES[objective].defaults
    return fields if can_score_translations() else merge(fields, {"validation": {"metric": LOSS}})


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"
