"""Lines about a run that ends: what it leaves, and the commands to type next."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from checkpoints import CheckpointError
from transformer.durations import parse_duration, spell_duration
from transformer.folder_layout import has_saves, step_of
from transformer.loading import read_pointers
from transformer.training.events import RunFinished, RunOutcome
from transformer.training.run_summary import format_score

from ..console import is_terminal, print_notice, printable
from .live_console import stderr_console

_MAX_SAMPLE = 400  # characters
_COMMANDS = ("  transduce ", "go on with: ")  # how lines with commands begin
_FINE_TUNING = (
    ("train --init {run} --pairs FILE -o NEW_RUN", "learns to translate, or another task"),
)
# What to type next with a model of each objective, after `transduce`, and what it does.
_NEXT = {
    "translation": (
        ("translate -m {run}", "type lines, or name files"),
        ("evaluate -m {run}", "BLEU and chrF on the validation text"),
    ),
    "language-model": (
        ("generate -m {run} 'Once upon a time'", "goes on with this beginning"),
        ("evaluate -m {run}", "perplexity on the validation text"),
    ),
    "instructions": (
        ("generate -m {run} --chat", "type messages; leave --chat out for prompts as they are"),
        ("evaluate -m {run}", "perplexity of the answers in the validation text"),
    ),
    "masked-lm": (
        ("fill -m {run}", "type lines with <mask> in them, or name files"),
        ("embed -m {run} FILE", "a vector for each line"),
        ("evaluate -m {run}", "loss and accuracy on masked tokens of the validation text"),
    ),
    "classification": (
        ("classify -m {run}", "type texts, or name files; --pairs where it learnt pairs"),
        ("evaluate -m {run}", "accuracy and F1, or correlations, on the validation text"),
    ),
    "span-corruption": _FINE_TUNING,
    "denoising": _FINE_TUNING,
    "prefix-lm": _FINE_TUNING,
    "tagging": (("tag -m {run}", "type texts, or name files"),),
}


def resume_command(run: Path, *options: str) -> str:
    """Return the command line that goes on with a run."""
    return shlex.join(["transduce", "train", "--resume", "-o", str(run), *options])


def interruption_note(run: Path, *options: str) -> str:
    """Return what is left of a run that was stopped at once, and how to go on."""
    if not has_saves(run):
        return "nothing was saved yet: the same command begins again"
    return f"saved last{_saved_step(run)}; go on with: {resume_command(run, *options)}"


def print_end(event: RunFinished, run: Path, *options: str) -> None:
    """Print what a run leaves and how to go on; `options` are those of resuming."""
    if is_terminal():
        _draw_end(event, run, *options)
        return
    for part in end_parts(event, run, *options):
        for line in [part] if isinstance(part, str) else map(": ".join, part):
            print_notice(printable(line))


def end_parts(
    event: RunFinished, run: Path, *options: str
) -> Iterator[str | list[tuple[str, str]]]:
    """Yield lines about the end of a run, and samples as labels and texts."""
    if event.outcome is None:
        yield f"go on with: {resume_command(run, *options)}"
        return
    yield _best_line(event.outcome)
    for sample in event.outcome.samples:
        yield [(label, _cut(text)) for label, text in sample]
    yield "next:"
    for command, purpose in _NEXT[event.outcome.objective]:
        yield f"  transduce {command.format(run=shlex.quote(str(run)))}  # {purpose}"
    if event.reason == "all steps done":
        length, purpose = ["--steps", str(2 * event.step)], "trains for longer"
        if event.time:  # the same time would go on with its rest, another begins anew
            length = ["--time", spell_duration(2 * parse_duration("--time", event.time))]
            purpose = f"trains for another {length[1]}"
        yield f"  {resume_command(run, *length, *options)}  # {purpose}"


def _draw_end(event: RunFinished, run: Path, *options: str) -> None:
    """Draw the summary on the terminal, with commands in one piece, so that they can be copied."""
    console = stderr_console()
    for part in end_parts(event, run, *options):
        if isinstance(part, str):
            is_command = part.startswith(_COMMANDS)
            is_long = is_command and len(part) > console.width
            line = part.partition("  #")[0] if is_long else part
            console.print(Text(printable(line)), soft_wrap=is_command)
            continue
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold")
        grid.add_column(overflow="fold")
        for label, text in part:
            grid.add_row(label, Text(printable(text)))
        console.print(Padding(grid, (1, 0, 0, 0)))
    console.print()


def _best_line(outcome: RunOutcome) -> str:
    if outcome.best_step is None:
        return f"nothing was validated: the model is the last checkpoint, {outcome.checkpoint}"
    scores = ", ".join(
        f"{name} {format_score(name, value)}" for name, value in outcome.scores.items()
    )
    return f"best: step {outcome.best_step:,}, {scores}, in {outcome.checkpoint}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SAMPLE else f"{text[: _MAX_SAMPLE - 1]}…"


def _saved_step(run: Path) -> str:
    try:
        state = read_pointers(run).state
    except CheckpointError:
        return ""
    return "" if state is None else f" at step {step_of(Path(state)):,}"
