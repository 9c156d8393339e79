"""The loss and the scores of a training objective, on a run's own validation text or on a file."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from checkpoints import verify_checksums
from tokenizer import CorpusCounts, CorpusError
from tokenizer.quantities import format_count
from transformer.abilities import require_ability
from transformer.chat.template import read_chat_template
from transformer.data import Batch
from transformer.evaluation import likelihood
from transformer.folder_layout import DATA, run_of_model
from transformer.loading import LoadedModel
from transformer.training.conversation_encoding import ConversationEncoder
from transformer.training.conversations import ConversationCorpus
from transformer.training.corpora import TextGroup
from transformer.training.data_report import ExamplesReport
from transformer.training.defaults import NOISE_SECTIONS
from transformer.training.encoding import TextEncoder
from transformer.training.objectives import OBJECTIVES, VALID
from transformer.training.recipe import Recipe
from transformer.training.recipe_resolution import read_run_recipe, recipe_of
from transformer.training.validation_text import validation_report, without_text

from ..io.filter import reading_counts
from ..io.line_progress import LineProgress
from ..render.data_report import losses_of
from ..render.evaluation import Evaluation
from .job import Job

_MASKED = "masked-lm"
_ON_TEXT = [n for n, each in OBJECTIVES.items() if "text" in each.texts and n != "language-model"]


class _Measuring(NamedTuple):
    """A model that does what a recipe's objective trains."""

    job: Job
    loaded: LoadedModel
    recipe: Recipe

    def measure(self, result: Evaluation, folder: Path) -> bool:
        """Add loss and scores of validation text below a folder; return False if there is none."""
        loaded, recipe = self.loaded, self.recipe
        objective = OBJECTIVES[recipe.objective]
        if (data := objective.open(recipe, loaded.texts, folder, VALID)) is None:
            return False
        with self.job.token_progress() as progress:
            found = likelihood(loaded.model, _counted(data.in_order(), progress))
            scores = objective.scores(loaded, recipe, folder, lambda: False)
        result.add_loss(found, objective.unit, objective_signature(recipe))
        result.add_scores(scores)
        return True

    def measure_file(self, read: CorpusCounts, report: ExamplesReport, folder: Path) -> Evaluation:
        """Evaluate on a file that was prepared as validation text. Raises CorpusError."""
        for notice in losses_of(report):
            read.notice(notice)
        result = Evaluation(read, reading_counts(read))
        if not self.measure(result, folder):
            raise CorpusError("there is no text to evaluate on")
        return result


def evaluate_own_objective(job: Job, run: Path) -> Evaluation:
    """Evaluate a model by the loss and the scores of its run's objective."""
    recipe = read_run_recipe(run)
    job.check_own(None, run, f"text for {recipe.objective}")
    loaded = job.load_only(f"the validation text of {run}")
    verify_checksums(run / DATA, trust_cache=True)
    if (report := validation_report(run)) is not None and report.kept:
        job.tell_own(run, format_count(report.kept, report.unit.removesuffix("s")))
    result = Evaluation(CorpusCounts(), Counter())
    if not _Measuring(job, loaded, recipe).measure(result, run / DATA):
        raise without_text(run)
    return result


def text_recipe(job: Job, loaded: LoadedModel) -> Recipe | None:
    """Return the recipe of what a model was trained to do with text, other than to go on with it.

    It is that of the model's run. A masked language model of no run has BERT's noise. None for a
    model that does nothing else.
    """
    run = run_of_model(job.models[0])
    recipe = None if run is None else read_run_recipe(run)
    if recipe is not None and recipe.objective in _ON_TEXT:
        return recipe
    if (loaded.config.shape, loaded.config.head) != ("encoder", "masked"):
        return None
    default = recipe_of({"objective": _MASKED})
    context = min(default.training.context, loaded.config.max_positions)
    training = msgspec.structs.replace(default.training, context=context)
    return msgspec.structs.replace(default, training=training)


def evaluate_objective_on_text(
    job: Job, loaded: LoadedModel, recipe: Recipe, text: TextGroup, read: CorpusCounts
) -> Evaluation:
    """Evaluate a model by its objective on running text."""
    encoder = TextEncoder(loaded.texts, begins_documents=False)
    with tempfile.TemporaryDirectory() as folder:
        report = encoder.write([text], Path(folder) / VALID)
        return _Measuring(job, loaded, recipe).measure_file(read, report, Path(folder))


def evaluate_conversations(job: Job) -> Evaluation:
    """Evaluate a language model by the answers in a file of conversations."""
    path, read = str(job.options.conversations), CorpusCounts()
    loaded = job.load_only("--conversations")
    require_ability(loaded.config, "evaluate --text", loaded.named_folder)
    recipe = recipe_of({"objective": "instructions", "data": {"conversations": [path]}})
    corpus = ConversationCorpus(recipe.data, read, recipe.seed)
    template = read_chat_template(loaded.folder, loaded.tokenizer)
    encoder = ConversationEncoder(loaded.texts, template, max_tokens=loaded.config.max_positions)
    with tempfile.TemporaryDirectory() as folder:
        report = encoder.write(corpus.training(), Path(folder) / VALID)
        return _Measuring(job, loaded, recipe).measure_file(read, report, Path(folder))


def objective_signature(recipe: Recipe) -> str:
    """Return what a loss is of, in the form of sacreBLEU's signatures.

    These are the objective, the settings of its noise, and the most tokens of a text.
    """
    section = NOISE_SECTIONS.get(recipe.objective)
    settings = {} if section is None else msgspec.to_builtins(getattr(recipe, section))
    fields = {"objective": recipe.objective, **settings}
    if "text" in OBJECTIVES[recipe.objective].texts:
        fields["context"] = recipe.training.context
    return "|".join(f"{name}:{_shown(value)}" for name, value in fields.items())


def _shown(value: object) -> str:
    return "+".join(value) if isinstance(value, list | tuple) else str(value)


def _counted(batches: Iterable[Batch], progress: LineProgress) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        progress.advance(batch.num_targets)
