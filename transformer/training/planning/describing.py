"""Choices in lines for the user: what was chosen, and why."""

import math

from ..recipe import Recipe, has_validation
from .choices import Chooser
from .sizes import CHARACTER_TOKENS


def choice_lines(recipe: Recipe, chooser: Chooser) -> list[str]:
    """Return five lines on a recipe with its choices."""
    return [
        f"tokenizer: {_tokenizer(recipe, chooser)}",
        f"model: {_model(recipe, chooser)}",
        f"batches: {_batches(recipe, chooser)}",
        f"length: {_length(recipe, chooser)}",
        f"validation: {_validation(recipe, chooser)}",
    ]


def _tokenizer(recipe: Recipe, chooser: Chooser) -> str:
    facts = chooser.facts
    text = f"{facts.characters:,} characters, {facts.alphabet:,} different ones"
    if recipe.objective == "translation":
        text = f"{count(facts.pairs, 'pair')} of {text}"
    if chooser.model is not None:
        return f"the initial model's, for {text}"
    if recipe.tokenizer.path:
        return f"{recipe.tokenizer.path}, for {text}"
    if recipe.tokenizer.kind in CHARACTER_TOKENS:
        return f"{recipe.tokenizer.kind}, for {text}"
    return f"{recipe.tokenizer.kind} of {recipe.tokenizer.vocab_size:,} tokens, for {text}"


def _model(recipe: Recipe, chooser: Chooser) -> str:
    if chooser.model is not None:
        return f"the initial one, {chooser.parameters(recipe):,} weights"
    size = f"{recipe.model['preset']}, {chooser.parameters(recipe):,} weights"
    if chooser.is_given("model.preset"):
        return f"{size}, as told"
    limit = "this text is" if chooser.seconds is None else "this text and this time are"
    return f"{size}, dropout {recipe.model['dropout']}: the largest preset that {limit} enough for"


def _batches(recipe: Recipe, chooser: Chooser) -> str:
    training, best = recipe.training, chooser.best
    speed = f"{best.step_seconds:.2g} s each on {chooser.device.type}"
    if training.precision == "bfloat16" and best.gain > 1:
        speed += f" in bfloat16, {best.gain:.1f} times as fast as in float32"
    return (
        f"{training.batch_tokens:,} tokens, {speed}; learning rate {training.learning_rate:g}, "
        f"schedule {training.schedule}"
    )


def _length(recipe: Recipe, chooser: Chooser) -> str:
    training = recipe.training
    bounds = chooser.bounds(recipe)
    if not bounds:
        return f"{count(training.steps, 'step')}, as told"
    key = min(bounds, key=lambda key: bounds[key])
    steps = bounds[key]
    per_epoch = chooser.batches_per_epoch(recipe) / training.accumulate
    epochs = format_epochs(steps / per_epoch)
    if key == "time":
        return f"{training.time}, about {count(steps, 'step')} or {epochs} epochs"
    within = f", in less than {training.time}" if training.time else ""
    if steps > math.ceil(training.epochs * per_epoch):  # of chosen epochs
        return f"{steps:,} steps, the least, as the text is little: about {epochs} epochs{within}"
    return f"{training.epochs:g} epochs, about {count(steps, 'step')}{within}"


def _validation(recipe: Recipe, chooser: Chooser) -> str:
    metric = recipe.validation.metric
    if not has_validation(recipe.data):
        return "none, as told"
    if not recipe.data.valid_fraction:
        return f"by {metric}, on the text that was named for it"
    if recipe.objective == "translation":
        pairs = max(1, round(recipe.data.valid_fraction * chooser.facts.pairs))
        return f"by {metric}, on about {count(pairs, 'pair')}; those of equal source stay together"
    return f"by {metric}, on the last {recipe.data.valid_fraction:.0%} of the text"


def count(number: int, noun: str) -> str:
    """Format a number with its noun.

    >>> count(1, "pair"), count(2000, "pair")
    ('1 pair', '2,000 pairs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_epochs(epochs: float) -> str:
    """Format a number of epochs with two digits.

    >>> format_epochs(0.123), format_epochs(270.4)
    ('0.12', '270')
    """
    return f"{epochs:,.0f}" if epochs >= 10 else f"{epochs:.2g}"
