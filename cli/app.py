"""The Typer app, one line for each command; heavy imports wait until a command runs."""

import os
import sys
from contextlib import suppress

import typer

from transformer.cpus import limit_threads
from transformer.memory import collect_rarely, keep_freed_memory

from .commands import (
    benchmark,
    checkpoint,
    classify,
    embed,
    evaluate,
    fill,
    generate,
    runs,
    score,
    tag,
    tokenizer,
    train,
    translate,
)
from .errors import exit_process, guard
from .help.command import Program, add_pages
from .help.completion import SHELL, print_completions

app = typer.Typer(
    name="transduce",
    help="Train tokenizers and Transformers; generate and translate text.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(tokenizer.app, name="tokenizer")
app.command("train")(train.train)
app.command("translate")(translate.translate)
app.command("generate")(generate.generate)
app.command("score")(score.score)
app.command("embed")(embed.embed)
app.command("classify")(classify.classify)
app.command("tag")(tag.tag)
app.command("fill")(fill.fill)
app.command("evaluate")(evaluate.evaluate)
app.command("benchmark")(benchmark.benchmark)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(runs.app, name="runs")
add_pages(app, Program)


@app.callback()
def options() -> None:
    """Train tokenizers and Transformers; generate and translate text."""


def main() -> None:
    """Run the program `transduce`."""
    collect_rarely()
    keep_freed_memory()
    limit_threads()
    command = typer.main.get_command(app)
    if SHELL in os.environ:
        with suppress(OSError):  # the shell has closed the pipe
            print_completions(command)
            sys.stdout.flush()
        exit_process(0)

    def run() -> None:  # not command.main, which has its own exit codes
        with command.make_context("transduce", sys.argv[1:]) as context:
            command.invoke(context)

    guard(run)


if __name__ == "__main__":
    main()
