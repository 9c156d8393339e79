"""The likelihood of running text under a language model, or what else models do with it."""

from collections import Counter
from itertools import chain, islice
from pathlib import Path

from tokenizer import CorpusCounts, TextFile, read_documents
from tokenizer.quantities import format_count
from transformer.data import Ids
from transformer.evaluation import stored_likelihood, text_likelihood
from transformer.loading import LoadedModel
from transformer.training.corpora import TextGroup
from transformer.training.encoding import TEXT
from transformer.training.validation_text import validation_ids, validation_report

from ..io.filter import reading_counts
from ..options.evaluation import one_model
from ..render.data_report import unknown_characters
from ..render.evaluation import Evaluation
from .job import Job
from .objective import evaluate_objective_on_text, text_recipe


def evaluate_text(job: Job) -> Evaluation:
    """Evaluate a model on a file of running text, whose beginning is read before the model is."""
    model, read = one_model(job.models, "--text"), CorpusCounts()
    file = TextFile(str(job.options.text), job.options.column, option="--column")
    documents = iter(read_documents(file, read))
    first = [*islice(documents, 1)]  # raises what is wrong with the column
    loaded, chunks = job.load(model), chain(first, documents)
    if (recipe := text_recipe(job, loaded)) is not None:
        return evaluate_objective_on_text(job, loaded, recipe, TextGroup(file.path, chunks), read)
    with job.token_progress() as progress:
        found = text_likelihood(loaded, chunks, progress.report)
    counts = reading_counts(read) + Counter(unknown_read=found.unknown_lines)
    result = Evaluation(read, counts)
    result.add_likelihood(found)
    return result


def evaluate_own_text(job: Job, run: Path) -> Evaluation:
    """Evaluate a model on the running text that its run validates on."""
    ids = validation_ids(run)
    job.check_own("--text", run, "running text")
    job.tell_own(run, f"{format_count(len(ids) - 1, 'token')}, document ends included")
    return _evaluate_stored(job, job.load_only(f"the running text of {run}"), ids, run)


def _evaluate_stored(job: Job, loaded: LoadedModel, ids: Ids, run: Path) -> Evaluation:
    known = validation_report(run)
    text = None if known is None else known.unknown.get(TEXT)
    num_bytes = None if text is None else text.num_bytes
    result = Evaluation(CorpusCounts(), Counter())
    for notice in [] if known is None else unknown_characters(known):
        result.read.notice(notice)
    if num_bytes is None:
        result.read.notice(
            f"{run} is of an earlier version, which did not count the bytes of its validation "
            "text: bits per byte are left out; --text FILE measures them"
        )
    with job.token_progress() as progress:
        result.add_likelihood(stored_likelihood(loaded, ids, num_bytes, progress.report))
    return result
