"""`transduce train`: from raw text to a trained model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import is_terminal, say
from ..errors import INTERRUPTED
from ..options import common as opt

_Files = list[str] | None


def train(
    recipe: Annotated[
        Path | None, typer.Argument(metavar="[RECIPE.toml]", help="Settings; flags win over it.")
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option("-o", "--output", help="The run's folder.")] = None,
    objective: Annotated[str | None, typer.Option(help="translation or language-model.")] = None,
    source: Annotated[_Files, typer.Option(help="Source lines; may be repeated.")] = None,
    target: Annotated[_Files, typer.Option(help="Target lines, matching the source's.")] = None,
    pairs: Annotated[_Files, typer.Option(help="TSV or JSONL with both sides.")] = None,
    text: Annotated[_Files, typer.Option(help="Running text; may be repeated.")] = None,
    valid_source: Annotated[_Files, typer.Option(help="Source lines to validate on.")] = None,
    valid_target: Annotated[_Files, typer.Option(help="Target lines to validate on.")] = None,
    valid_pairs: Annotated[_Files, typer.Option(help="Pairs to validate on.")] = None,
    valid_text: Annotated[_Files, typer.Option(help="Text to validate on.")] = None,
    valid_fraction: Annotated[
        float | None, typer.Option(help="Without such files: the last part, say 0.05.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Of TSV or JSONL files, say 1,2 or en,de.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="A tokenizer.json; none: train one.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="The model's size: see the README.")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates in all.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Padded tokens a batch.")] = None,
    context: Annotated[int | None, typer.Option(help="Language models: tokens a window.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The peak.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any key of the recipe; may be repeated."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(help="Start from this model's weights and tokenizer.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in -o.")] = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
) -> None:
    """Train a Transformer on raw text, by a recipe, by flags, or both.

    Ctrl-C and SIGTERM finish the step, save and leave; --resume goes on from there.
    """
    flags: dict[str, Any] = {
        "objective": objective,
        "seed": seed,
        "data": {
            "source": source,
            "target": target,
            "pairs": pairs,
            "text": text,
            "valid_source": valid_source,
            "valid_target": valid_target,
            "valid_pairs": valid_pairs,
            "valid_text": valid_text,
            "valid_fraction": valid_fraction,
            "columns": columns.split(",") if columns else None,
        },
        "tokenizer": {"path": tokenizer},
        "model": {"preset": preset},
        "training": {
            "steps": steps,
            "batch_tokens": batch_tokens,
            "context": context,
            "learning_rate": learning_rate,
        },
    }
    _run(
        _given(flags),
        recipe=recipe,
        out=out,
        settings=settings or [],
        device=device,
        init=init,
        resume=resume,
        quiet=quiet,
    )


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given, sections without any left out."""
    kept: dict[str, Any] = {}
    for key, value in flags.items():
        inner = _given(value) if isinstance(value, dict) else value
        if inner not in (None, {}):
            kept[key] = inner
    return kept


def _run(
    flags: dict[str, Any],
    *,
    recipe: Path | None,
    out: Path | None,
    settings: list[str],
    device: str,
    init: Path | None,
    resume: bool,
    quiet: bool,
) -> None:
    if is_terminal() and not quiet:
        say("starting")
    from transformer.errors import ConfigError
    from transformer.training.recipe_resolution import resolve_recipe
    from transformer.training.run import Run

    from ..render.training import show
    from ..signals import StopRequest

    if out is None:
        raise ConfigError("say where the run's folder should be: -o runs/NAME")
    resolved = resolve_recipe(recipe, flags, settings, resumed=out if resume else None)
    with StopRequest() as stop:
        run = Run(resolved, out, device=device, resume=resume, init=init, stop=stop)
        interrupted = show(run.events(), out, quiet=quiet, on_start=stop.arm)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
