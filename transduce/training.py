"""Training from Python."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformer.training.events import Event
from transformer.training.planning.planner import plan_recipe
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
    a mapping: what that leaves out is chosen, as for `transduce train` without a recipe. `init`,
    `resume` and `device` are its options, too. `on_event` is called with each step's report, each
    choice, validation and notice. Raises ConfigError and OSError.

    >>> recipe = {"data": {"text": ["book.txt"]}, "training": {"time": "10m"}}
    >>> folder = transduce.train(recipe, "runs/book")  # doctest: +SKIP
    """
    file, fields = (None, recipe) if isinstance(recipe, Mapping) else (Path(recipe), {})
    out = Path(output)
    told, planner = plan_recipe(file, fields, [], resumed=out if resume else None)
    source = None if init is None else Path(init)
    run = Run(told, out, device=device, resume=resume, init=source, planner=planner)
    for event in run.events():
        if on_event is not None:
            on_event(event)
    return out
