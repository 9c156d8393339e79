"""`transduce checkpoint`: what can be done with model folders."""

from pathlib import Path
from typing import Annotated

import typer

from ..console import say
from ..io.streams import output
from ..options.common import Device, Quiet

_MOST = 64  # lines that are compared
SAMPLES = [
    "The quick brown fox jumps over the lazy dog.",
    "Two young men are playing football in the park.",
    "1, 2, 3: a list (with brackets) and a question?",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich!",
    "Hello",
]

app = typer.Typer(help="Work on model folders.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Work on model folders."""


@app.command()
def show(
    model: Annotated[Path, typer.Argument(help="A model's folder, or a training run's.")],
) -> None:
    """Say what a model is, from its configuration and its files' headers alone."""
    from transformer.loading import summarize_model

    with output(None) as writer:
        for name, value in summarize_model(model):
            writer.line(f"{name:<13} {value}")


@app.command()
def verify(
    first: Annotated[Path, typer.Argument(help="A model's folder.")],
    second: Annotated[Path, typer.Argument(help="Another that should answer the same.")],
    *,
    text: Annotated[Path | None, typer.Option(help="Lines to try; else a few of our own.")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Of logits; a larger difference is exit code 1.")
    ] = 1e-3,
    device: Device = "auto",
) -> None:
    """Compare two models: the largest differences of logits, and what beam search writes.

    Every file of a folder with a manifest is summed first.
    """
    from transformer.pipelines import compare_models

    from ..io.loading import load_with_notice

    lines = SAMPLES if text is None else text.read_text(encoding="utf-8").splitlines()[:_MOST]
    one, other = (
        load_with_notice(path, device=device, dtype="float32", quiet=True, trust_cache=False)
        for path in (first, second)
    )
    differences = compare_models(one, other, lines)
    with output(None) as writer:
        for found in differences:
            same = {True: "same text", False: "other text", None: "no text"}[found.beams]
            writer.line(f"{found.logits:.2e}\t{same}\t{found.text}")
    if differences[0].logits > tolerance or any(found.beams is False for found in differences):
        say(f"{first} and {second} differ: by {differences[0].logits:.2e} in logits")
        raise typer.Exit(1)


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
    from transformer.export import convert_model

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
    from transformer.export import average_models

    folders = average_models(models, out, last=last)
    if not quiet:
        say(f"{out}: the mean of {', '.join(folder.name for folder in folders)}")
