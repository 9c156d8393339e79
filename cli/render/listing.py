"""Lists of runs and of models, as columns of text and as JSON."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tokenizer.quantities import format_bytes
from transformer.training.model_list import ListedModel
from transformer.training.run_summary import RunSummary

_RIGHT = {"SIZE", "STEP"}  # columns of numbers
_LESS_NEEDED = ("KIND", "CHANGED", "SIZE", "MODEL")  # the first to go first

_CUTS = {
    "folders": "holds too many folders to look into all",
    "time": "takes too long to look into all folders",
}


def run_rows(runs: Sequence[RunSummary]) -> list[dict[str, str]]:
    """Return what a list shows of each run, by column."""
    return [
        {
            "RUN": str(run.folder),
            "MODEL": _model(run),
            "STEP": f"{run.step:,}/{'?' if run.steps is None else f'{run.steps:,}'}",
            "BEST": run.best or "-",
            "SIZE": format_bytes(run.num_bytes),
            "CHANGED": _day(run.changed),
            "STATE": run.state,
        }
        for run in runs
    ]


def run_record(run: RunSummary) -> dict[str, Any]:
    """Return the JSON record of a run."""
    record = {**run._asdict(), "folder": str(run.folder), "changed": _time(run.changed)}
    return {name: value for name, value in record.items() if value not in (None, "")}


def model_rows(models: Sequence[ListedModel]) -> list[dict[str, str]]:
    """Return what a list shows of each model, by column."""
    return [
        {
            "MODEL": model.name,
            "KIND": model.kind,
            "SIZE": format_bytes(model.num_bytes),
            "CHANGED": _day(model.changed),
            "NOTE": "in the hub's cache" if model.place == "hub" else model.note,
        }
        for model in models
    ]


def model_record(model: ListedModel) -> dict[str, Any]:
    """Return the JSON record of a model."""
    return {
        **model._asdict(),
        "changed": _time(model.changed),
        "marks": list(model.marks),
        "scores": dict(model.scores),
    }


def table(rows: Sequence[dict[str, str]], *, limit: int | None = None) -> Iterator[str]:
    """Yield the lines of a table: the names of columns, then the rows; nothing without rows.

    Columns without any text are left out.
    Columns that can be missed are left out until lines have at most `limit` characters.
    """
    if not rows:
        return
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    lines = [{name: name for name in names}, *rows]
    widths = {name: max(len(line[name]) for line in lines) for name in names}
    for name in (each for each in _LESS_NEEDED if limit is not None and each != names[0]):
        if sum(widths.values()) + 2 * (len(widths) - 1) > (limit or 0):
            widths.pop(name, None)
    for line in lines:
        cells = (
            line[name].rjust(width) if name in _RIGHT else line[name].ljust(width)
            for name, width in widths.items()
        )
        yield "  ".join(cells).rstrip()


def cut_notice(folder: Path, cut: str) -> str:
    """Return a notice that a list may lack something, for the reason why its search was cut."""
    return f"{folder.absolute()} {_CUTS[cut]}: name one further down"


def _model(run: RunSummary) -> str:
    """Return the preset of a run's model, or the model that it started from."""
    if run.init:
        return f"from {Path(run.init).name}"
    return run.preset or run.objective or "?"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
