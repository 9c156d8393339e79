"""Lengths of texts that an initial model can read."""

from collections.abc import Mapping
from typing import Any

from ...config import TransformerConfig
from ..objectives import OBJECTIVES
from ..recipe import has_key, merge
from ..recipe_resolution import recipe_of


def readable_length(given: Mapping[str, Any], model: TransformerConfig) -> dict[str, Any]:
    """Return the fields by which texts are no longer than a model reads, but those given."""
    recipe = recipe_of(given)
    objective = OBJECTIVES[recipe.objective]
    rules, target_limit = objective.rules, model.target_positions
    limit = model.max_positions if rules.target_length else model.shorter_positions
    fields: dict[str, Any] = {}
    length = objective.max_length(recipe)
    if not has_key(given, rules.length):
        length = min(length, limit)
        fields = _nested(rules.length, length)
    if rules.target_length and not has_key(given, rules.target_length) and target_limit < length:
        fields = merge(fields, _nested(rules.target_length, target_limit))
    return fields


def _nested(key: str, value: object) -> dict[str, Any]:
    section, _, name = key.partition(".")
    return {section: {name: value}}
