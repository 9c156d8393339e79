"""The validation text of a finished run: what its models were measured on while it trained."""

from contextlib import suppress
from pathlib import Path

from checkpoints import verify_checksums
from tokenizer import CorpusCounts

from ..data import Ids, TokenStore
from ..errors import ConfigError
from ..folder_layout import DATA, run_of_model, unsaved_run_message
from ..labels import LabelledText, LabelValues
from .corpora import Pair, PairCorpus
from .data_recipe import has_validation
from .data_report import PartReport
from .encoding import TEXT, read_kept_pairs
from .labelled_encoding import read_kept_texts, read_labels
from .objectives import VALID
from .prepared_folder import recorded_report
from .recipe_resolution import read_run_recipe

_REMEDY = "give --pairs, --source and --target, --labelled, --tagged, or --text"


def run_with_validation(path: Path) -> Path:
    """Return the run that a model belongs to. Raises ConfigError for another model."""
    if (run := run_of_model(path)) is None:
        if (message := unsaved_run_message(path)) is not None:
            raise ConfigError(message)
        raise ConfigError(
            f"{path} is no training run, which has validation text of its own: {_REMEDY}"
        )
    return run


def validation_pairs(run: Path) -> list[Pair]:
    """Return the pairs that a run of a translator validates on.

    Raises ConfigError for a run without any, CheckpointError where they are damaged.
    """
    if pairs := _pairs(run):
        return pairs
    raise without_text(run)


def validation_ids(run: Path) -> Ids:
    """Return the ids of the running text that a run validates on.

    Raises ConfigError for a run without any, CheckpointError where they are damaged.
    """
    if (run / DATA / VALID / TEXT).is_dir():
        verify_checksums(run / DATA, trust_cache=True)
        if len(ids := TokenStore(run / DATA / VALID / TEXT).ids):
            return ids
    raise without_text(run)


def validation_labelled(run: Path) -> list[LabelledText]:
    """Return the texts with labels that a run of a classifier validates on.

    Raises ConfigError for a run without such texts, CheckpointError where they are damaged.
    """
    verify_checksums(run / DATA, trust_cache=True)
    is_list = read_labels(run / DATA).kind == "multi"
    with suppress(FileNotFoundError):
        if texts := read_kept_texts(run / DATA / VALID):
            return [LabelledText(each, LabelValues(labels, is_list)) for _, each, labels in texts]
    raise without_text(run)


def validation_report(run: Path) -> PartReport | None:
    """Return the report on a run's validation text; None where an earlier version wrote none."""
    report = recorded_report(run / DATA)
    return None if report is None else report.validation


def without_text(run: Path) -> ConfigError:
    """Return the error of a run without validation text."""
    return ConfigError(f"the run {run} has no validation text: {_REMEDY}")


def _pairs(run: Path) -> list[Pair]:
    """Return the pairs as the run wrote them, or as an older run's recipe names their files."""
    folder = run / DATA / VALID
    try:
        verify_checksums(run / DATA, trust_cache=True)
        return read_kept_pairs(folder)
    except FileNotFoundError:
        pass
    recipe = read_run_recipe(run)
    corpus = PairCorpus(recipe.data, CorpusCounts(), recipe.seed)
    if not has_validation(recipe.data):
        return []
    if corpus.has_random_split:  # another version drew other pairs
        raise ConfigError(
            f"the run {run} is of an earlier version, which did not keep the texts of the "
            "validation pairs that it drew, and they cannot be drawn again: give --pairs, or "
            "--source and --target"
        )
    return [pair for group in corpus.validation() for pair in group.pairs]
