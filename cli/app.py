"""The Typer app, one line for each command; heavy imports wait until a command runs."""

import gc
import os
import sys
from typing import Annotated

import typer

from transformer.memory import keep_freed_memory

from .commands import (
    checkpoint,
    embed,
    evaluate,
    generate,
    runs,
    score,
    tokenizer,
    train,
    translate,
)
from .errors import guard

app = typer.Typer(
    name="transduce",
    help="Train tokenizers and Transformers; generate and translate text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(tokenizer.app, name="tokenizer")
app.command("train")(train.train)
app.command("translate")(translate.translate)
app.command("generate")(generate.generate)
app.command("score")(score.score)
app.command("embed")(embed.embed)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(runs.app, name="runs")


def _show_version(enabled: bool) -> None:
    """Print the version and exit."""
    if enabled:
        from importlib.metadata import version

        sys.stdout.write(f"transduce {version('transduce')}\n")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show a traceback with an error; goes before the command."),
    ] = False,
) -> None:
    """Train tokenizers and Transformers; generate and translate text."""
    del version
    if debug:
        os.environ["TRANSDUCE_DEBUG"] = "1"


def main() -> None:
    """Run the program `transduce`."""
    # Imports make hundreds of thousands of objects that stay: looking through them for cycles every
    # 700 objects takes a tenth of a short program's time.
    gc.set_threshold(20_000, 10, 10)
    keep_freed_memory()
    command = typer.main.get_command(app)

    def run() -> None:  # not command.main, which has its own exit codes
        with command.make_context("transduce", sys.argv[1:]) as context:
            command.invoke(context)

    guard(run)


if __name__ == "__main__":
    main()
