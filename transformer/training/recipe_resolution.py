"""Merging the layers of a recipe; what may change of it when its run is resumed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tokenizer import Spool, SpooledPath, Tokenizer, TrainingOptions

from ..errors import ConfigError
from .data_recipe import FRAMING_KEYS, LATER_KEYS, DataRecipe, data_settings, text_paths
from .defaults import NOISE_SECTIONS
from .objectives import OBJECTIVES
from .objectives.choice import choose_objective, default_fields
from .progress import TimeBudget
from .recipe import Recipe, merge, recipe_from_fields
from .recipe_layers import given_fields
from .run_recipe import read_run_fields

_MAX_SHOWN = 60  # characters of a value in a message
# Keys that a run's saved state depends on, which cannot change on resuming; (): the whole section.
# Files are compared by content: see `Preparation.check`.
_FIXED: dict[str, tuple[str, ...]] = {
    "data": (*data_settings(DataRecipe()), *FRAMING_KEYS, *LATER_KEYS),
    "tokenizer": (),
    **dict.fromkeys(NOISE_SECTIONS.values(), ()),
    "training": (
        *("optimizer", "ema", "batch_tokens", "accumulate", "context", "pack"),
        *("freeze", "learning_rates"),
    ),
    "validation": ("metric",),
    "adapter": (),
}


def resolve_recipe(
    path: Path | None,
    flags: Mapping[str, Any],
    settings: Sequence[str],
    *,
    resumed: Path | None = None,
) -> Recipe:
    """Return the recipe of all its layers, checked.

    Flags win over settings, these over the recipe file, the resumed run's recipe and the defaults.
    The objective follows from the texts, if nothing names it.
    """
    return recipe_of(given_fields(path, flags, settings, resumed=resumed))


def recipe_of(fields: Mapping[str, Any]) -> Recipe:
    """Return the recipe of fields that are given, and of its objective's defaults."""
    objective = choose_objective(fields)
    layers = (default_fields(objective), fields, {"objective": objective})
    return _with_files(recipe_from_fields(merge(*layers)))


def _with_files(recipe: Recipe) -> Recipe:
    """Return a recipe with `~` in names of files resolved.

    Raises ConfigError for a name that is not UTF-8, which no recipe can keep.
    """
    files = {key: [*map(_file_name, paths)] for key, paths in text_paths(recipe.data).items()}
    tokenizer = msgspec.structs.replace(
        recipe.tokenizer, path=_file_name(recipe.tokenizer.path) if recipe.tokenizer.path else ""
    )
    template = _file_name(recipe.data.chat_template) if recipe.data.chat_template else ""
    data = msgspec.structs.replace(recipe.data, **files, chat_template=template)
    return msgspec.structs.replace(recipe, data=data, tokenizer=tokenizer)


def _file_name(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"the name {name!r} is not UTF-8, and a recipe cannot keep it: rename the file, "
            "or give it by a link of another name"
        ) from None
    return str(Path(name).expanduser()) if name.startswith("~/") else name


def resuming_remark(recipe: Recipe, step: int) -> str:
    """Return a line on a run that goes on from a step, to steps that may follow from a time."""
    training = recipe.training
    if training.time or training.epochs:
        return f"resuming at step {step:,}"
    return f"resuming at step {step:,} of {training.steps:,}"


def changed_settings(
    old: Recipe, new: Recipe, *, budget: TimeBudget | None = None, is_timed: bool = False
) -> list[str]:
    """Return the keys in which recipes differ, with both values; files count by their content.

    Steps that are still to follow from a time or from epochs are no change, nor are those, and what
    follows them, of a run that `is_timed`. `budget` has the time that the old steps were for.
    """
    left_out = {"tokenizer.path", *(f"data.{key}" for key in text_paths(new.data))}
    if new.training.time or new.training.epochs or is_timed:
        left_out.add("training.steps")
    if budget is not None:
        left_out.update(budget.free if is_timed else ())
        if new.training.time:
            training = msgspec.structs.replace(old.training, time=budget.time)
            old = msgspec.structs.replace(old, training=training)
    return [
        f"{key} {_shown(before)} → {_shown(after)}"
        for key, (before, after) in _differences(*map(msgspec.to_builtins, (old, new))).items()
        if key not in left_out
    ]


def _differences(old: Any, new: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the values that differ in two nested dictionaries, by dotted keys."""
    differences: dict[str, tuple[Any, Any]] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        pair = old.get(key), new.get(key)
        if all(isinstance(value, dict) for value in pair):
            differences |= _differences(*pair, f"{prefix}{key}.")
        elif pair[0] != pair[1]:
            differences[prefix + key] = pair
    return differences


def _shown(value: Any) -> str:
    text = "unset" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def check_unchanged(folder: Path, recipe: Recipe) -> None:
    """Raise ConfigError if a recipe changes what the run in a folder cannot change on resuming."""
    old, new = (msgspec.to_builtins(each) for each in (read_run_recipe(folder), recipe))
    changed = [key for key in ("objective", "seed", "model") if old[key] != new[key]]
    for section, keys in _FIXED.items():
        changed += [
            f"{section}.{key}"
            for key in keys or new[section]
            if old[section][key] != new[section][key] and (section, key) != ("tokenizer", "path")
        ]
    if changed:
        raise ConfigError(
            f"{folder} was started with another {', '.join(changed)}; that cannot change on "
            "resuming: start a new run"
        )


def read_run_recipe(folder: Path) -> Recipe:
    """Return the recipe that a run in a folder was started with. Raises OSError or ConfigError."""
    return recipe_from_fields(read_run_fields(folder))


def data_paths(recipe: Recipe) -> list[str]:
    """Return the paths of the text files that a recipe reads."""
    return [path for paths in text_paths(recipe.data).values() for path in paths]


def with_copies(recipe: Recipe, spool: Spool, *, tokenizer: bool = True) -> Recipe:
    """Return the recipe with names of copies for files that can be read only once.

    These are texts and, unless it is left alone, the tokenizer's. The recipe is to read them by,
    not to keep: copies go with their spool. Raises OSError.
    """
    files = {key: spool.paths(paths) for key, paths in text_paths(recipe.data).items()}
    copied = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, **files))
    if not (tokenizer and recipe.tokenizer.path):
        return copied
    path = spool.paths([recipe.tokenizer.path])[0]
    return msgspec.structs.replace(
        copied, tokenizer=msgspec.structs.replace(recipe.tokenizer, path=path)
    )


def load_tokenizer(path: str) -> Tokenizer:
    """Read a recipe's tokenizer, or its copy. Raises OSError and TokenizerError."""
    file = path.copy if isinstance(path, SpooledPath) else Path(path)
    return Tokenizer.from_json(file.read_text(encoding="utf-8", errors="replace"), name=path)


def tokenizer_options(recipe: Recipe) -> TrainingOptions:
    """Return the options to train the recipe's tokenizer with, and the tokens that noise needs."""
    settings = msgspec.to_builtins(recipe.tokenizer)
    fields = {key: value for key, value in settings.items() if key not in {"path", "grow"}}
    special, needed = fields["special"], OBJECTIVES[recipe.objective].special_tokens(recipe)
    reserved = tuple(token for token in needed if token not in special)
    return TrainingOptions(**{**fields, "special": tuple(special), "reserved": reserved})
