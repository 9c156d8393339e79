"""`transduce train`: from raw text to a trained model."""

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ..console import is_terminal, write_status
from ..errors import INTERRUPTED
from ..io.output_checks import check_run_folder
from ..io.outputs import output
from ..options import common as opt
from ..options.groups import option
from ..options.names import OBJECTIVE_NAMES, TRAINABLE

_Files = list[str] | None
_pairs_option = partial(option, panel="Pairs")
_text_option = partial(option, panel="Running text")


def _list_presets(enabled: bool) -> None:
    """Print the presets of models and exit."""
    if enabled:
        from ..render.recipe_tables import preset_lines

        _print_and_exit(preset_lines())


def _list_keys(enabled: bool) -> None:
    """Print the keys of recipes and exit."""
    if enabled:
        from ..render.recipe_tables import key_lines

        _print_and_exit(key_lines())


def _print_and_exit(lines: Iterable[str]) -> NoReturn:
    with output(None) as writer:
        for line in lines:
            writer.line(line)
    raise typer.Exit


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="Settings: a TOML file, or a recipe that comes along (dates, docstrings, "
            "multi30k-en-de, shakespeare-characters, shakespeare-characters-large). --set wins "
            "over it, and the other options win over both.",
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        option(
            "-o --output FOLDER",
            "Folder of the run; always needed.",
            panel="Output",
        ),
    ] = None,
    objective: Annotated[
        str | None,
        option(
            "--objective NAME",
            "translation or language-model; if not given, what the texts are for.",
            panel="Model",
            choices=OBJECTIVE_NAMES,
        ),
    ] = None,
    source: Annotated[
        _Files,
        _pairs_option("--source FILE", "File of source lines; needs --target. May be repeated."),
    ] = None,
    target: Annotated[
        _Files,
        _pairs_option(
            "--target FILE",
            "File of translations: line n is that of line n of --source. May be repeated.",
        ),
    ] = None,
    pairs: Annotated[
        _Files,
        _pairs_option(
            "--pairs FILE",
            "TSV, CSV, JSONL or JSON file with source and translation as columns; see --columns. "
            "May be repeated.",
        ),
    ] = None,
    text: Annotated[
        _Files,
        _text_option(
            "--text FILE",
            "File of running text, one document; each record of a TSV, CSV, JSONL or JSON file is "
            "one. May be repeated.",
        ),
    ] = None,
    valid_source: Annotated[
        _Files,
        _pairs_option(
            "--valid-source FILE", "Like --source, to validate on; needs --valid-target."
        ),
    ] = None,
    valid_target: Annotated[
        _Files, _pairs_option("--valid-target FILE", "Like --target, to validate on.")
    ] = None,
    valid_pairs: Annotated[
        _Files, _pairs_option("--valid-pairs FILE", "Like --pairs, to validate on.")
    ] = None,
    valid_text: Annotated[
        _Files, _text_option("--valid-text FILE", "Like --text, to validate on.")
    ] = None,
    valid_fraction: Annotated[
        float | None,
        option(
            "--valid-fraction X",
            "Without validation files, validate on this share of the training text: pairs drawn "
            "by --seed, those of equal source together, or the end of running text (0 to below "
            "1, such as 0.05). Default: 0, no validation.",
            panel="Input",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        option(
            "--columns NAMES",
            "Columns of tables, two for --pairs and one for --text, such as 1,2 or en,de: numbers, "
            "or names, which are fields of JSON, or stand in a first line of TSV or CSV that is no "
            "data. Default: the first two; text, or the only one.",
            panel="Input",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        option(
            "--tokenizer FILE",
            "A tokenizer.json. Default: one is trained on the training text.",
            panel="Model",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        option(
            "--preset NAME",
            "Size of the model. Translation: translate-small (default), translate-tiny, base, "
            "big, t5-base, bart-base. Language model: write-small (default), write-tiny, gpt2, "
            "gpt2-medium, gpt2-large, gpt2-xl, gpt3-175b.",
            panel="Model",
            choices=TRAINABLE,
        ),
    ] = None,
    time: Annotated[
        str | None,
        option(
            "--time TIME",
            "Train for this time, such as 20m or 2h: the model's size and the steps are chosen for "
            "it, and the steps corrected on the way. Default without a recipe, --steps and "
            "--epochs: 20m.",
            panel="Training",
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        option(
            "--epochs X",
            "Read the training text so often; with --time, whichever is less.",
            panel="Training",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        option(
            "--steps N",
            "Updates of the weights in all, in place of --time and --epochs, as a recipe without "
            "these has it. Default: 10000.",
            panel="Training",
        ),
    ] = None,
    batch_tokens: Annotated[
        int | None,
        option(
            "--batch-tokens N",
            "Most tokens of a batch, padding counted: its rows times the longest source or "
            "target, or windows times --context. Default: 4096.",
            panel="Training",
        ),
    ] = None,
    context: Annotated[
        int | None,
        _text_option(
            "--context N",
            "Tokens of each window of text, and the most that the model can read. Default: 256.",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        option(
            "--learning-rate X",
            "Learning rate at its peak, after the warm-up. Default: 0.001.",
            panel="Training",
        ),
    ] = None,
    save_every: Annotated[
        str | None,
        option(
            "--save-every TIME",
            "Save to resume from after this time, such as 10m or 90s, or after a number of steps, "
            "besides at validations. Default: 10m.",
            panel="Training",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        option(
            "--seed N",
            "Seed of the first weights, the order of the data and dropout (0 to 2147483647). "
            "Default: 1.",
            panel="Training",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        option(
            "--set KEY=VALUE",
            "Set any key of the recipe, such as training.warmup=500. May be repeated.",
            panel="Training",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        option(
            "--init MODEL",
            "Start from the weights and the tokenizer of this model: a folder, a run's folder "
            "or a name on the Hugging Face hub.",
            panel="Model",
        ),
    ] = None,
    resume: Annotated[
        bool,
        option(
            "--resume",
            "Go on with the run in -o, by its own recipe; begin it if there is none. Its text may "
            "have moved, or be gone; text that changed is prepared anew.",
            panel="Training",
        ),
    ] = False,
    plan: Annotated[
        bool,
        option(
            "--plan",
            "Train nothing: print the complete recipe, which is a RECIPE.toml, and how much memory "
            "and time it takes on this machine, from a few measured steps.",
            panel="Training",
        ),
    ] = False,
    device: opt.Device = "auto",
    quiet: opt.Quiet = False,
    presets: Annotated[
        bool,
        option(
            "--presets",
            "List the presets with their sizes and exit.",
            panel="Help and errors",
            is_eager=True,
            callback=_list_presets,
        ),
    ] = False,
    keys: Annotated[
        bool,
        option(
            "--keys",
            "List the keys of recipes with their defaults and exit.",
            panel="Help and errors",
            is_eager=True,
            callback=_list_keys,
        ),
    ] = False,
) -> None:
    """Train a Transformer on text, by options, a recipe, or both.

    Without a recipe, what is not given is chosen to suit the text, this machine
    and --time, and told in five lines; --plan shows it without training.

    The run's folder gets the checkpoints, the recipe and metrics.jsonl. Ctrl-C,
    SIGTERM and closing the terminal finish the step, save and leave; --resume
    goes on from there.
    """
    del presets, keys  # which have exited
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
            "time": time,
            "epochs": epochs,
            "steps": steps,
            "batch_tokens": batch_tokens,
            "context": context,
            "learning_rate": learning_rate,
            "save_every": save_every,
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
        plan=plan,
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
    plan: bool,
    quiet: bool,
) -> None:
    if is_terminal() and not quiet:
        write_status("starting …")
    from transformer.errors import ConfigError
    from transformer.loading import choose_device
    from transformer.training.planning.plan import make_plan
    from transformer.training.planning.planner import Planner
    from transformer.training.recipe_layers import given_fields
    from transformer.training.recipe_resolution import recipe_of
    from transformer.training.run import Run

    from ..render.run_end import interruption_note, print_end
    from ..render.training import follow_run
    from ..signals import StopRequest

    if plan and (resume or init is not None):
        raise ConfigError("--plan is for a run that begins from nothing: leave --resume and --init")
    if out is None and not plan:
        raise ConfigError("train needs a folder for the run: -o runs/NAME")
    if out is not None:
        check_run_folder(out)
    given = given_fields(recipe, flags, settings, resumed=out if resume else None)
    resolved = recipe_of(given)
    chooses = recipe is None or bool(resolved.training.time)
    planner = Planner(given if chooses else None)
    if plan or out is None:
        sys.stdout.write(make_plan(planner, resolved, choose_device(device)).text())
        return
    chosen = [] if device == "auto" else ["--device", device]
    with StopRequest() as stop:
        try:
            run = Run(
                resolved, out, device=device, resume=resume, init=init, stop=stop, planner=planner
            )
            finished = follow_run(run.events(), quiet=quiet, on_start=stop.defer_signals)
        except KeyboardInterrupt as error:
            error.add_note(interruption_note(out, *chosen))
            raise
    if finished is not None and not quiet:
        print_end(finished, out, *chosen)
    if finished is not None and finished.interrupted:
        raise typer.Exit(INTERRUPTED)
