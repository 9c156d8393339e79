"""Checks of a recipe before any work is done: its names, its network, and its files."""

from pathlib import Path

import torch

from tokenizer import STDIN, check_options, is_rereadable, open_text
from tokenizer.quantities import format_count
from tokenizer.text import refuse_repeated_streams

from ..config import TransformerConfig
from ..errors import ConfigError
from ..initialization import INITIALIZATIONS
from ..model import Transformer
from ..registry import either
from .adaptation import Adaptation
from .data_recipe import framing_flags
from .mixture import check_mixing
from .network_config import HEAD_KEYS, further_config, model_config, short_positions
from .objectives import OBJECTIVES
from .optimizers import OPTIMIZERS
from .recipe import Recipe
from .recipe_resolution import data_paths, tokenizer_options
from .schedules import SCHEDULES
from .trainable import trainable_set
from .vocabulary import check_recipe_of_growth


def check_recipe(
    recipe: Recipe,
    init: TransformerConfig | None = None,
    *,
    resuming: bool = False,
    adaptation: Adaptation | None = None,
) -> None:
    """Check a recipe before any work is done. A resumed run may do without its files of text.

    Raises ConfigError, UnknownNameError, TokenizerError, CorpusError, or OSError for a file that
    cannot be read.
    """
    _check_names(recipe)
    if init is None:
        _check_new(recipe, resuming=resuming)
    else:
        _check_initial(recipe, init)
    OBJECTIVES[recipe.objective].check(recipe)
    if not resuming:  # a resumed run may have the network of its --init
        smallest = smallest_config(recipe) if init is None else further_config(init, recipe)
        trained = trainable_set(smallest, recipe.training, adaptation)
        check_recipe_of_growth(recipe, trained.factors, has_init=init is not None)
    files = [] if resuming else [*data_paths(recipe), *filter(None, [recipe.tokenizer.path])]
    refuse_repeated_streams(files)
    for path in files:
        _check_readable(path)


def _check_names(recipe: Recipe) -> None:
    """Raise ConfigError or UnknownNameError for what no objective, or not this one, has."""
    objective, training = OBJECTIVES[recipe.objective], recipe.training
    SCHEDULES.check(training.schedule)
    OPTIMIZERS.check(training.optimizer)
    if recipe.validation.metric not in objective.metrics:
        raise ConfigError(
            f"validation.metric is {recipe.validation.metric!r}; the objective "
            f"{recipe.objective} has {', '.join(objective.metrics)}"
        )
    check_mixing(recipe.data, objective.corpora, recipe.objective)
    if recipe.data.max_target_tokens and not objective.rules.target_length:
        with_targets = [name for name, each in OBJECTIVES.items() if each.rules.target_length]
        raise _for_others("data.max_target_tokens", with_targets, recipe)
    if training.pack and not objective.packs:
        packing = [name for name, each in OBJECTIVES.items() if each.packs]
        raise _for_others("training.pack", packing, recipe)


def _for_others(key: str, objectives: list[str], recipe: Recipe) -> ConfigError:
    """Return the error of a key that the recipe's objective does not read."""
    return ConfigError(
        f"{key} is for the objective {either(objectives)}, and this one is {recipe.objective}"
    )


def _check_new(recipe: Recipe, *, resuming: bool) -> None:
    """Raise ConfigError or TokenizerError if no network, or no tokenizer, can begin by a recipe."""
    if (flags := framing_flags(recipe.data)) and not resuming:
        raise ConfigError(
            f"{' and '.join(flags)}: only with --init, for a model that was trained so"
        )
    if not recipe.tokenizer.path:
        check_options(tokenizer_options(recipe))
    with torch.device("meta"):
        model = Transformer(smallest_config(recipe))
    INITIALIZATIONS.check(model.config.initialization)


def smallest_config(recipe: Recipe) -> TransformerConfig:
    """Return the network of a recipe with the fewest tokens that it may have."""
    return model_config(recipe, recipe.model.get("vocab_size") or 1)


def _check_initial(recipe: Recipe, init: TransformerConfig) -> None:
    """Raise ConfigError if a model cannot be trained further by a recipe, with the reason."""
    objective = OBJECTIVES[recipe.objective]
    if init.shape not in objective.shapes:
        shapes = either(objective.shapes)
        raise ConfigError(f"{recipe.objective} trains {shapes} models, not {init.shape}")
    if recipe.model.keys() - {"preset", *HEAD_KEYS}:
        raise ConfigError(
            f"--init takes a model as it is: of [model], set nothing but {', '.join(HEAD_KEYS)}"
        )
    if recipe.tokenizer.path:
        raise ConfigError("--init brings its own tokenizer: leave --tokenizer out")
    if short := short_positions(init, recipe):
        positions = format_count(short.positions, short.noun)
        raise ConfigError(
            f"the initial model has {positions}; the recipe trains on {short.texts} of up to "
            f"{format_count(short.length, 'token')}: lower {short.key}"
        )


def _check_readable(path: str) -> None:
    """Raise OSError for a file that cannot be opened, CorpusError for one that is no text.

    What can be read only once is left alone: it would be read, or waited for.
    """
    if path != STDIN and (is_rereadable(path) or Path(path).is_dir()):
        with open_text(path, corpus=True):
            pass
