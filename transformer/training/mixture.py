"""Corpora that are mixed in a run: each file has a share of the batches."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from ..data import Data, MixedData
from ..data.noise import mixing_shares
from ..errors import ConfigError
from .data_recipe import DataRecipe, mixes
from .data_report import FileReport
from .prepared_folder import recorded_report
from .recipe import Recipe

_KEYS = "data.weights and data.temperature"


def check_mixing(data: DataRecipe, key: str | None, objective: str) -> None:
    """Raise ConfigError for a recipe that mixes what is not several files of an objective's `key`.

    Without a key, the objective mixes nothing.
    """
    if not mixes(data):
        return
    if key is None:
        raise ConfigError(f"{_KEYS} are for running text and pairs; {objective} mixes nothing")
    if data.weights and data.temperature:
        raise ConfigError(f"{_KEYS} each say how files are mixed: give one of them")
    files: list[str] = getattr(data, key)
    if len(files) < 2 or data.source:
        raise ConfigError(
            f"{_KEYS} mix several files, each a corpus: give --{key} more than once"
            + (", in place of --source and --target" if data.source else "")
        )
    if data.weights and len(data.weights) != len(files):
        raise ConfigError(
            f"data.weights has {format_count(len(data.weights), 'number')} for "
            f"{format_count(len(files), 'file')} of --{key}; it must have one for each"
        )


def corpus_shares(data: DataRecipe, files: Sequence[FileReport]) -> list[float]:
    """Return the share of the batches for each file; [] for a recipe that mixes none.

    arXiv 1907.05019 §4.2: with a temperature, they are by the sizes to the power of 1 / T. Raises
    CorpusError for a file without text to train on.
    """
    if not mixes(data):
        return []
    sizes = corpus_sizes(files)
    for file, size in zip(files, sizes, strict=True):
        if not size:
            raise CorpusError(
                f"{file.name} has no text to train on, and cannot have a share of it: leave it "
                "out, or name other text to validate on"
            )
    return mixing_shares(data.weights) if data.weights else mixing_shares(sizes, data.temperature)


def corpus_sizes(files: Sequence[FileReport]) -> list[int]:
    """Return the number of tokens of each file of running text, or of the kept pairs."""
    return [end - first for first, end in pairwise([0, *(file.end for file in files)])]


def mix(recipe: Recipe, folder: Path, make: Callable[[int, int], Data]) -> MixedData:
    """Return the batches of all corpora below a folder of prepared text, each with its share.

    `make` returns those of the tokens, or the pairs, from one on to before another.
    """
    report = recorded_report(folder)
    assert report is not None, "a run that mixes has a report on its text"
    files = report.training.files
    ends = [0, *(file.end for file in files)]
    return MixedData(
        [make(first, end) for first, end in pairwise(ends)],
        report.training.shares,
        names=[file.name for file in files],
        seed=recipe.seed,
    )
