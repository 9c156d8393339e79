"""`transduce runs`: the training runs in a folder."""

import json
from pathlib import Path

import typer

from ..console import print_notice
from ..io.outputs import output, terminal_width
from ..options.common import Quiet
from ..options.lists import ListAsJson, ListedFolder

app = typer.Typer(help="List training runs.")


@app.callback()
def group() -> None:
    """List training runs."""


@app.command("list")
def list_runs(
    folder: ListedFolder = Path(), *, as_json: ListAsJson = False, quiet: Quiet = False
) -> None:
    """List the training runs in a folder: how far they are, best score, size and date.

    Folders below it are looked into, four levels deep, but hidden ones.
    """
    from transformer.folder_search import FolderSearch
    from transformer.training.run_summary import find_runs, summarize_run

    from ..render.listing import cut_notice, run_record, run_rows, table

    search = FolderSearch()
    runs = [summarize_run(run) for run in find_runs(folder, search)]
    with output(None) as writer:
        lines = (
            (json.dumps(run_record(run)) for run in runs)
            if as_json
            else table(run_rows(runs), limit=terminal_width())
        )
        for line in lines:
            writer.line(line)
    for run in runs:
        if run.problem:
            print_notice(run.problem)
    if search.is_cut:
        print_notice(cut_notice(folder, search.cut))
    if not runs and not quiet:
        print_notice(
            f"no training runs in {folder.absolute()}: transduce train -o runs/NAME makes one"
        )
