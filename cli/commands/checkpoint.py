"""`transduce checkpoint`: what can be done with model folders."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import say
from ..options import Quiet

app = typer.Typer(help="Work on model folders.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Work on model folders."""


@app.command()
def convert(
    model: Annotated[Path, typer.Argument(help="A model's folder, or a training run's.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--output", help="The new model's folder.")],
    to: Annotated[
        str,
        typer.Option(
            help="huggingface: whichever family has such networks; or one of them, say marian; "
            "or transduce."
        ),
    ] = "huggingface",
    quiet: Quiet = False,
) -> None:
    """Write a model for other programs, or a published one as one of ours."""
    from transformer.loading import convert_model

    found = convert_model(model, out, to=to)
    if not quiet:
        say(f"{out}: a {found} model")


@app.command()
def average(
    models: Annotated[
        list[Path],
        typer.Argument(help="Model folders; a run's folder stands for all checkpoints it kept."),
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--output", help="The new model's folder.")],
    last: Annotated[
        int | None, typer.Option(min=1, help="Of a run, only the last N checkpoints.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Average the weights of several checkpoints of one model (arXiv 1706.03762 §6.1)."""
    from transformer.loading import average_models

    folders = average_models(models, out, last=last)
    if not quiet:
        say(f"{out}: the mean of {', '.join(folder.name for folder in folders)}")
