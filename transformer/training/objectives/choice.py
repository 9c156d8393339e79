"""The objective that follows from the texts of a recipe, and the lowest layer of its settings."""

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError, UnknownNameError
from ...evaluation import can_score_translations
from ...registry import suggest
from ..recipe import Recipe, merge
from ..selection import LOSS
from . import OBJECTIVES


def choose_objective(fields: Mapping[str, Any]) -> str:
    """Return the objective that is named, or else that of the texts that are named.

    Raises UnknownNameError for a name that is none, and ConfigError for texts that it does not
    read, or of two kinds.
    """
    data = fields.get("data")
    named = data if isinstance(data, Mapping) else {}
    kinds = {name: [key for key in one.texts if named.get(key)] for name, one in OBJECTIVES.items()}
    kinds = {name: keys for name, keys in kinds.items() if keys}
    if len(kinds) > 1:
        parts = " and ".join(f"{_flag(keys[0])} is for {name}" for name, keys in kinds.items())
        raise ConfigError(f"{parts}: one run trains for one of them; leave the other out")
    default = next(iter(kinds), Recipe().objective)
    objective = str(fields.get("objective", default))
    if objective not in OBJECTIVES:
        raise UnknownNameError(f"objective is {objective!r}; {suggest(objective, OBJECTIVES)}")
    if kinds and objective not in kinds:
        raise ConfigError(
            f"the objective {objective} reads no {_flag(kinds[default][0])}, which is for {default}"
        )
    return objective


def default_fields(objective: str) -> dict[str, Any]:
    """Return the defaults of an objective: validation by loss where there is no sacreBLEU."""
    fields = OBJECTIVES[objective].defaults
    return fields if can_score_translations() else merge(fields, {"validation": {"metric": LOSS}})


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"
