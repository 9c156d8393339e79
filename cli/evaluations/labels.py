"""Labels that a classifier gives texts, scored by the texts' own."""

from pathlib import Path

from tokenizer import CorpusCounts
from tokenizer.quantities import format_count
from transformer.abilities import require_ability
from transformer.folder_layout import run_of_model
from transformer.labels import LabelledFile, read_labelled
from transformer.training.recipe_resolution import read_run_recipe
from transformer.training.validation_text import validation_labelled

from ..io.label_scores import LabelScorer
from ..render.evaluation import Evaluation
from ..render.label_scores import evaluation_of_labels
from .job import Job


def evaluate_labels(job: Job) -> Evaluation:
    """Evaluate a classifier on a file of texts with labels."""
    options, read, scorer = job.options, CorpusCounts(), _scorer(job, "--labelled")
    file = LabelledFile(
        str(options.labelled),
        tuple(options.columns.split(",")) if options.columns else (),
        options.label_separator or _separator(job.models[0]),
        frozenset(scorer.loaded.labels),
    )
    return evaluation_of_labels(scorer.score([*read_labelled(file, read)], file.path, read))


def evaluate_own_labels(job: Job, run: Path) -> Evaluation:
    """Evaluate a classifier on the texts that its run validates on."""
    texts = validation_labelled(run)
    job.check_own("--labelled", run, "texts with labels")
    job.tell_own(run, format_count(len(texts), "text"))
    scorer = _scorer(job, f"the labelled texts of {run}")
    return evaluation_of_labels(scorer.score(texts, str(run), CorpusCounts()))


def _scorer(job: Job, text: str) -> LabelScorer:
    loaded = job.load_only(text)
    require_ability(loaded.config, "evaluate --labelled", loaded.named_folder)
    options = job.options
    return LabelScorer(loaded, options.batch_tokens, options.save_outputs, job.quiet)


def _separator(model: Path) -> str | None:
    """Return what stood between the labels of a text where a run was trained, if anything did."""
    run = run_of_model(model)
    return None if run is None else read_run_recipe(run).data.label_separator or None
