"""`transduce train`: from raw text to a trained model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import is_terminal, say
from ..errors import INTERRUPTED
from ..options import common as opt
from ..options.groups import option

_Files = list[str] | None
_TRANSLATION, _TEXT = "Translation", "Language model"


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECIPE.toml]",
            help="File of settings. --set wins over it, and the other options win over both.",
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the run; always needed."),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="translation or language-model. Default: translation."),
    ] = None,
    source: Annotated[
        _Files,
        option(
            "--source",
            metavar="FILE",
            panel=_TRANSLATION,
            help="File of source lines; needs --target. May be repeated.",
        ),
    ] = None,
    target: Annotated[
        _Files,
        option(
            "--target",
            metavar="FILE",
            panel=_TRANSLATION,
            help="File of translations: line n is that of line n of --source. May be repeated.",
        ),
    ] = None,
    pairs: Annotated[
        _Files,
        option(
            "--pairs",
            metavar="FILE",
            panel=_TRANSLATION,
            help=".tsv or .jsonl file with source and translation in each line; see --columns. May "
            "be repeated.",
        ),
    ] = None,
    text: Annotated[
        _Files,
        option(
            "--text",
            metavar="FILE",
            panel=_TEXT,
            help="File of running text, one document; each line of a .tsv or .jsonl file is one. "
            "May be repeated.",
        ),
    ] = None,
    valid_source: Annotated[
        _Files,
        option(
            "--valid-source",
            metavar="FILE",
            panel=_TRANSLATION,
            help="Like --source, to validate on; needs --valid-target.",
        ),
    ] = None,
    valid_target: Annotated[
        _Files,
        option(
            "--valid-target",
            metavar="FILE",
            panel=_TRANSLATION,
            help="Like --target, to validate on.",
        ),
    ] = None,
    valid_pairs: Annotated[
        _Files,
        option(
            "--valid-pairs",
            metavar="FILE",
            panel=_TRANSLATION,
            help="Like --pairs, to validate on.",
        ),
    ] = None,
    valid_text: Annotated[
        _Files,
        option("--valid-text", metavar="FILE", panel=_TEXT, help="Like --text, to validate on."),
    ] = None,
    valid_fraction: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Without validation files, validate on this share of the training text, its end "
            "(0 to below 1, such as 0.05). Default: 0, no validation.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Columns of .tsv files (from 1) or fields of .jsonl files: two for --pairs, such "
            "as 1,2 or en,de; one for --text. Default: 1,2, or 1 or text.",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            metavar="FILE",
            help="A tokenizer.json. Default: one is trained on the training text.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Size of the model. Translation: translate-small (default), translate-tiny, base, "
            "big, t5-base, bart-base. Language model: write-small (default), write-tiny, gpt2, "
            "gpt2-medium, gpt2-large, gpt2-xl, gpt3-175b.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Updates of the weights in all. Default: 10000."),
    ] = None,
    batch_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Most tokens of a batch, padding counted: its rows times the longest source or "
            "target, or windows times --context. Default: 4096.",
        ),
    ] = None,
    context: Annotated[
        int | None,
        option(
            "--context",
            metavar="N",
            panel=_TEXT,
            help="Tokens of each window of text, and the most that the model can read. Default: "
            "256.",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Learning rate at its peak, after the warm-up. Default: 0.001."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Seed of the first weights, the order of the data and dropout (0 to 2147483647). "
            "Default: 1.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set any key of the recipe, such as training.warmup=500. May be repeated.",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Start from the weights and the tokenizer of this model: a folder, a run's folder "
            "or a name on the Hugging Face hub.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in -o, by its own recipe; begin it if there is none.",
        ),
    ] = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
) -> None:
    """Train a Transformer on text, by options, a recipe, or both.

    The run's folder gets the checkpoints, the recipe and metrics.jsonl. Ctrl-C
    and SIGTERM finish the step, save and leave; --resume goes on from there.
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
        _without_unset(flags),
        recipe=recipe,
        out=out,
        settings=settings or [],
        device=device,
        init=init,
        resume=resume,
        quiet=quiet,
    )


def _without_unset(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags that are set, without sections that hold none."""
    flags_set: dict[str, Any] = {}
    for key, value in flags.items():
        inner = _without_unset(value) if isinstance(value, dict) else value
        if inner not in (None, {}):
            flags_set[key] = inner
    return flags_set


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
        raise ConfigError("train needs a folder for the run: -o runs/NAME")
    resolved = resolve_recipe(recipe, flags, settings, resumed=out if resume else None)
    with StopRequest() as stop:
        run = Run(resolved, out, device=device, resume=resume, init=init, stop=stop)
        interrupted = show(run.events(), out, quiet=quiet, on_start=stop.arm)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
