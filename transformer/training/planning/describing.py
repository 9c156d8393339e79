"""Choices in lines for the user: what was chosen, and why."""

import math

from tokenizer.quantities import format_count, format_large

from ..data_recipe import has_validation
from ..objectives import OBJECTIVES
from ..recipe import Recipe
from ..selection import describe_metric
from .auto_recipe import AutoRecipe

_USED = 0.8  # of the time: a run that takes less is told why


def choice_lines(recipe: Recipe, auto: AutoRecipe) -> list[str]:
    """Return five lines on a recipe with its choices, and one more on time that is not used."""
    lines = [
        f"tokenizer: {_tokenizer(recipe, auto)}",
        f"model: {_model(recipe, auto)}",
        f"batches: {_batches(recipe, auto)}",
        f"length: {_length(recipe, auto)}",
        f"validation: {_validation(recipe, auto)}",
    ]
    if _leaves_time(recipe, auto):
        lines.insert(4, "length: more epochs hardly help; for more: --epochs N, --preset NAME")
    return lines


def _leaves_time(recipe: Recipe, auto: AutoRecipe) -> bool:
    """Return True if chosen epochs end a run long before the time that was asked for."""
    is_cut = auto.is_given("training.time") and not auto.is_given("training.epochs")
    needed = auto.steps(recipe) * auto.best.step_seconds
    return is_cut and needed < _USED * (auto.seconds or 0.0)


def _tokenizer(recipe: Recipe, auto: AutoRecipe) -> str:
    text, tokenizer = auto.rules.format_text(auto.facts), recipe.tokenizer
    if auto.model is not None:
        more = recipe.tokenizer.grow
        learned = f" and up to {format_count(more, 'token')} more" if more else ""
        return f"the initial model's{learned}, for {text}"
    tokens = format_count(auto.vocabulary(recipe), "token")
    if tokenizer.path:
        return f"{tokenizer.path} of {tokens}, for {text}"
    return f"{tokenizer.kind} of {tokens}, for {text}"


def _model(recipe: Recipe, auto: AutoRecipe) -> str:
    weights = _weights(auto.parameters(recipe))
    if auto.model is not None:
        return f"the initial one, {weights}"
    size = f"{recipe.model['preset']}, {weights}, dropout {recipe.model['dropout']}"
    if auto.is_given("model.preset"):
        return f"{size}, {auto.source_of('model.preset')}"
    return f"{size}, by {'text' if auto.seconds is None else 'text and time'}"


def _weights(number: int) -> str:
    """Return a number of weights in millions: how many tokens add to it is not known yet.

    >>> _weights(681_216), _weights(1_175_040), _weights(20_000)
    ('0.7 M weights', '1.2 M weights', '20,000 weights')
    """
    small = f"{number / 1e6:.1f} M" if 1e5 <= number < 1e6 else format_large(number)
    return format_count(small, "weight")


def _batches(recipe: Recipe, auto: AutoRecipe) -> str:
    training, best = recipe.training, auto.best
    tokens = format_count(training.batch_tokens, "token")
    precision = "" if training.precision == "auto" else f" in {training.precision}"
    speed = f"{best.step_seconds:.2g} s each{precision}"
    return f"{tokens}, {speed}, learning rate {training.learning_rate:g}"


def _length(recipe: Recipe, auto: AutoRecipe) -> str:
    training = recipe.training
    bounds = auto.bounds(recipe)
    if not bounds:
        return f"{format_count(training.steps, 'step')}, {auto.source_of('training.steps')}"
    key = min(bounds, key=lambda key: bounds[key])
    per_epoch = auto.batches_per_epoch(recipe) / training.accumulate
    steps, epochs = format_count(bounds[key], "step"), format_epochs(bounds[key] / per_epoch)
    if key == "time":
        return f"{training.time}, about {steps} or {epochs}"
    within = f", in less than {training.time}" if training.time else ""
    if bounds[key] > math.ceil(training.epochs * per_epoch):  # of chosen epochs
        return f"{steps} (the least), about {epochs}{within}"
    return f"{format_epochs(training.epochs)}, about {steps}{within}"


def _validation(recipe: Recipe, auto: AutoRecipe) -> str:
    metric = describe_metric(recipe.validation.metric, OBJECTIVES[recipe.objective].metrics)
    if not has_validation(recipe.data):
        return f"none, {auto.source_of('data.valid_fraction')}"
    if not recipe.data.valid_fraction:
        return f"by {metric}, on the text that was named for it"
    return f"by {metric}, {auto.rules.format_validation(recipe.data.valid_fraction)}"


def format_epochs(epochs: float) -> str:
    """Format a number of epochs with two digits.

    >>> format_epochs(0.123), format_epochs(1.0), format_epochs(270.4)
    ('0.12 epochs', '1 epoch', '270 epochs')
    """
    return format_count(f"{epochs:,.0f}" if epochs >= 10 else f"{epochs:.2g}", "epoch")
