"""Translations of pairs' sources, scored by their references."""

from dataclasses import replace
from pathlib import Path

from tokenizer import CorpusCounts
from tokenizer.quantities import format_count
from transformer.pipelines.arguments import TranslateArguments
from transformer.training.recipe_resolution import read_run_recipe
from transformer.training.validation_text import validation_pairs

from ..io.pair_scores import PairScorer
from ..render.evaluation import Evaluation, evaluation_of_pairs
from .job import Job


def evaluate_pairs(job: Job) -> Evaluation:
    """Evaluate translators on the pairs of files."""
    return evaluation_of_pairs(_scorer(job).score_files(), job.models, job.options.versus)


def evaluate_own_pairs(job: Job, run: Path) -> Evaluation:
    """Evaluate translators on the validation pairs of a run."""
    pairs = validation_pairs(run)
    job.check_own("--pairs", run, "pairs")
    job.tell_own(run, format_count(len(pairs), "pair"))
    scorer = _scorer(job)
    if job.options.tokenize is None:
        tokenize = read_run_recipe(run).validation.tokenize
        scorer = scorer._replace(options=replace(job.options, tokenize=tokenize))
    scored = scorer.score_pairs(pairs, CorpusCounts())
    return evaluation_of_pairs(scored, job.models, job.options.versus)


def _scorer(job: Job) -> PairScorer:
    options = job.options
    arguments = TranslateArguments(
        beam=options.beam,
        length_penalty=options.length_penalty,
        batch_tokens=options.batch_tokens,
        no_guard=True,  # the model is measured, not its repairs
        **vars(job.languages),
    )
    return PairScorer(job.models, options, arguments, job.load, job.quiet)
