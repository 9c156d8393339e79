"""The validation text of a finished run: what its models were measured on while it trained."""

from pathlib import Path

from checkpoints import verify_checksums
from tokenizer import CorpusCounts
from tokenizer.quantities import format_count

from ..data import Ids, TokenStore
from ..errors import ConfigError
from ..folder_layout import DATA, run_of_model, unsaved_run_message
from .conversation_encoding import PREDICTED
from .corpora import Pair, PairCorpus
from .data_recipe import has_validation
from .data_report import PartReport
from .encoding import TEXT, read_kept_pairs
from .objectives import VALID
from .prepared_folder import recorded_report
from .recipe_resolution import read_run_recipe

_REMEDY = "give --pairs, --source and --target, or --text"


def run_with_validation(path: Path) -> Path:
    """Return the run that a model belongs to. Raises ConfigError for another model."""
    if (run := run_of_model(path)) is None:
        if (message := unsaved_run_message(path)) is not None:
            raise ConfigError(message)
        raise ConfigError(
            f"{path} is no training run, which has validation text of its own: {_REMEDY}"
        )
    return run


def validation_text(run: Path) -> list[Pair] | Ids:
    """Return the pairs that a run of a translator validates on, or the ids of another's text.

    Raises ConfigError for a run without such text, CheckpointError where it is damaged.
    """
    folder = run / DATA / VALID
    if (folder / TEXT).is_dir():
        verify_checksums(run / DATA, trust_cache=True)
        if len(ids := TokenStore(folder / TEXT).ids):
            return ids
    elif (folder / PREDICTED).is_dir():
        raise ConfigError(
            f"the run {run} validates on conversations, of which its log has the loss; other text "
            f"can be measured: {_REMEDY}"
        )
    elif pairs := _pairs(run):
        return pairs
    raise ConfigError(f"the run {run} has no validation text: {_REMEDY}")


def validation_size(text: list[Pair] | Ids) -> str:
    """Return the size of that text in words: its pairs, or the tokens that are predicted."""
    if isinstance(text, list):
        return format_count(len(text), "pair")
    return f"{format_count(len(text) - 1, 'token')}, document ends included"


def validation_report(run: Path) -> PartReport | None:
    """Return the report on a run's validation text; None where an earlier version wrote none."""
    report = recorded_report(run / DATA)
    return None if report is None else report.validation


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
