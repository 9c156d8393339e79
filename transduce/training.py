"""Training from Python."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformer.training.events import Event
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run


def train(
    recipe: str | Path | Mapping[str, Any],
    output: str | Path,
    *,
    init: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    on_event: Callable[[Event], object] | None = None,
) -> Path:
    """Train a model by a recipe, and return the run's folder, which `load` takes.

    `recipe` is a TOML file, the name of a recipe that comes along, or the same sections and keys as
    a mapping; `init`, `resume` and `device` are the options of `transduce train`. `on_event` is
    called with each step's report, each validation and each notice. Raises ConfigError and OSError.

    >>> recipe = {"data": {"text": ["book.txt"]}, "objective": "language-model"}
    >>> folder = transduce.train(recipe, "runs/book")  # doctest: +SKIP
    """
    file, fields = (None, recipe) if isinstance(recipe, Mapping) else (Path(recipe), {})
    out = Path(output)
    resolved = resolve_recipe(file, fields, [], resumed=out if resume else None)
    source = None if init is None else Path(init)
    for event in Run(resolved, out, device=device, resume=resume, init=source).events():
        if on_event is not None:
            on_event(event)
    return out
