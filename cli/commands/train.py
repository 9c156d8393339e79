"""`transduce train`: from raw text to a trained model."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..console import erase_status, is_terminal, write_status
from ..interrupts import INTERRUPTED
from ..io.output_checks import check_run_folder
from ..io.outputs import output
from ..options import common as opt
from ..options.groups import grouped, option
from ..options.training import RecipeOptions

if TYPE_CHECKING:
    from transformer.training.planning.planner import Planner
    from transformer.training.recipe import Recipe


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


@grouped
def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="Settings: a TOML file, or a recipe that comes along (character-names, dates, "
            "multi30k-en-de, shakespeare-characters, shakespeare-characters-large). --set wins "
            "over it, and the other options win over both.",
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        option(
            "-o --output FOLDER",
            "Folder of the run; needed, except with --plan.",
            panel="Output",
        ),
    ] = None,
    options: RecipeOptions,
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
    and --time, and told in five lines; --plan shows it without training. The
    defaults below are those of a recipe.

    The run's folder gets the checkpoints, the recipe and metrics.jsonl. Ctrl-C,
    SIGTERM and closing the terminal finish the step, save and leave; --resume
    goes on from there.
    """
    del presets, keys  # which have exited
    _run(
        options,
        recipe=recipe,
        out=out,
        device=device,
        init=init,
        resume=resume,
        plan=plan,
        quiet=quiet,
    )


def _run(
    options: RecipeOptions,
    *,
    recipe: Path | None,
    out: Path | None,
    device: str,
    init: Path | None,
    resume: bool,
    plan: bool,
    quiet: bool,
) -> None:
    if is_terminal() and not quiet:
        write_status("starting …")
    from transformer.errors import ConfigError
    from transformer.training.planning.planner import plan_recipe
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
    settings, resumed = options.settings or [], out if resume else None
    told, planner = plan_recipe(recipe, options.fields(), settings, resumed=resumed)
    if plan or out is None:
        _print_plan(planner, told, device)
        return
    chosen = [] if device == "auto" else ["--device", device]
    with StopRequest() as stop:
        try:
            run = Run(
                told, out, device=device, resume=resume, init=init, stop=stop, planner=planner
            )
            finished = follow_run(run.events(), quiet=quiet, on_start=stop.defer_signals)
        except KeyboardInterrupt as error:
            error.add_note(interruption_note(out, *chosen))
            raise
    if finished is not None and not quiet:
        print_end(finished, out, *chosen)
    if finished is not None and finished.interrupted:
        raise typer.Exit(INTERRUPTED)


def _print_plan(planner: "Planner", told: "Recipe", device: str) -> None:
    """Print the plan of a run as a recipe in TOML."""
    from transformer.loading import choose_device
    from transformer.training.planning.plan import make_plan

    text = make_plan(planner, told, choose_device(device)).text()
    erase_status()
    with output(None) as writer:
        writer.piece(text)
