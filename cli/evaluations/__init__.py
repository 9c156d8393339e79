"""Evaluations of models, by the text that they are measured on."""

from collections.abc import Callable
from pathlib import Path

from transformer.registry import Registry
from transformer.training.recipe_resolution import read_run_recipe
from transformer.training.validation_text import run_with_validation

from ..render.evaluation import Evaluation
from .job import Job
from .labels import evaluate_labels, evaluate_own_labels
from .objective import evaluate_conversations, evaluate_own_objective
from .pairs import evaluate_own_pairs, evaluate_pairs
from .running_text import evaluate_own_text, evaluate_text
from .tags import evaluate_tags

# By the option that names the text.
EVALUATIONS: Registry[Callable[[Job], Evaluation]] = Registry(
    "text to evaluate on",
    {
        "--source": evaluate_pairs,
        "--pairs": evaluate_pairs,
        "--labelled": evaluate_labels,
        "--tagged": evaluate_tags,
        "--text": evaluate_text,
        "--conversations": evaluate_conversations,
    },
)
# Of a run's own validation text, by the objective of the run; any other has its own measures.
_OWN: dict[str, Callable[[Job, Path], Evaluation]] = {
    "translation": evaluate_own_pairs,
    "language-model": evaluate_own_text,
    "classification": evaluate_own_labels,
}


def evaluate_own(job: Job) -> Evaluation:
    """Evaluate a run's model on the run's own validation text."""
    run = run_with_validation(job.models[0])
    objective = read_run_recipe(run).objective
    result = _OWN.get(objective, evaluate_own_objective)(job, run)
    result.record["validation_of"] = str(run)
    return result


__all__ = ["EVALUATIONS", "Job", "evaluate_own"]
