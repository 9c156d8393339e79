"""Choices in lines for the user: what was chosen, and why."""

from ..recipe import Recipe, has_validation
from .choices import Chooser


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
        text = f"{facts.pairs:,} pairs of {text}"
    if recipe.tokenizer.path:
        return f"{recipe.tokenizer.path}, for {text}"
    return f"{recipe.tokenizer.kind} of {recipe.tokenizer.vocab_size:,} tokens, for {text}"


def _model(recipe: Recipe, chooser: Chooser) -> str:
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
    if not (training.time or training.epochs):
        return f"{training.steps:,} steps, as told"
    limits = [training.time] if training.time else []
    if training.epochs:
        limits.append(f"{training.epochs:g} epochs")
    about = chooser.steps(recipe)
    per_epoch = chooser.batches_per_epoch(recipe) / training.accumulate
    which = ", whichever is less" if len(limits) > 1 else ""
    epochs = format_epochs(about / per_epoch)
    limit = " or ".join(limits)
    return f"{limit}{which}, about {about:,} steps or {epochs} epochs; --time sets another"


def _validation(recipe: Recipe, chooser: Chooser) -> str:
    metric = recipe.validation.metric
    if not has_validation(recipe.data):
        return "none, as told"
    if not recipe.data.valid_fraction:
        return f"by {metric}, on the text that was named for it"
    if recipe.objective == "translation":
        count = max(1, round(recipe.data.valid_fraction * chooser.facts.pairs))
        return f"by {metric}, on about {count:,} pairs; those of equal source stay together"
    return f"by {metric}, on the last {recipe.data.valid_fraction:.0%} of the text"


def format_epochs(epochs: float) -> str:
    """Format a number of epochs with two digits.

    >>> format_epochs(0.123), format_epochs(270.4)
    ('0.12', '270')
    """
    return f"{epochs:,.0f}" if epochs >= 10 else f"{epochs:.2g}"
