"""Validation of a model in training: its loss, scores and a sample, whole or not at all."""

import math
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokenizer.quantities import format_count

from ..data import Data
from ..errors import DivergedError
from ..evaluation import Likelihood, Score, can_score_translations, likelihood
from ..folder_layout import DATA
from ..loading import LoadedModel, ModelTexts
from ..model import Transformer
from .data_recipe import has_validation
from .events import Event, Notice, Remark, Validated
from .objectives import OBJECTIVES, VALID, Sample
from .prepared_folder import part_identity
from .progress import REMEDY, Progress
from .recipe import Recipe
from .selection import fallback_notice, selection_key
from .trainer import Trainer

_DECIDING = ("metric", "beam", "max_lines", "tokenize")  # settings that scores depend on


class ValidationResult(NamedTuple):
    """Results on the whole validation text."""

    likelihood: Likelihood
    scores: dict[str, Score]
    sample: Sample


class Validation:
    """The validation text of a run, on which `compute` measures the model as it is."""

    def __init__(
        self,
        recipe: Recipe,
        run: Path,
        texts: ModelTexts,
        data: Data,
        stop: Callable[[], bool],
    ) -> None:
        self.recipe, self.run, self.texts = recipe, run, texts
        self.data, self.stop = data, stop
        self.objective = OBJECTIVES[recipe.objective]

    @property
    def notice(self) -> str | None:
        """A notice for a user who expects scores beside the loss; None where there are."""
        if "bleu" not in self.objective.metrics or can_score_translations():
            return None
        return (
            "sacrebleu is not installed: validation is by the loss alone; for BLEU and chrF: "
            "pip install 'transduce[eval]'"
        )

    @property
    def remark(self) -> str | None:
        """A line that tells that scores are of a part of the text; None if they are of all."""
        is_part = self.objective.scored_part(self.recipe, self.run / DATA)
        if not is_part or not can_score_translations():
            return None
        pairs = format_count(self.recipe.validation.max_lines, "pair")
        return f"BLEU and chrF are of {pairs} from all over the validation text, the loss of all"

    def measure(self) -> str:
        """Return an identity of what is measured: of the text, and of how it is scored."""
        settings = msgspec.to_builtins(self.recipe.validation)
        deciding = {name: settings[name] for name in _DECIDING}
        deciding |= self.objective.scored_part(self.recipe, self.run / DATA)
        return part_identity(self.run / DATA, VALID, deciding)

    def compute(self, trainer: Trainer) -> ValidationResult | None:
        """Compute loss, scores and a sample; return None if `stop()` is True before the end.

        Raises DivergedError for a loss that is no finite number.
        """
        folder = self.run / DATA
        with trainer.evaluating() as model:
            batches = takewhile(lambda _: not self.stop(), self.data.in_order())
            with trainer.forward_precision():  # texts are decoded in float32, as after training
                result = likelihood(model, batches)
            if self.stop():
                return None
            if not math.isfinite(result.loss):
                raise DivergedError(f"the validation loss is {result.loss}: {REMEDY}")
            scores = self.objective.scores(self._loaded(model), self.recipe, folder, self.stop)
            if self.stop():
                return None
            samples = self.samples(model, limit=1)
        if self.stop():
            return None
        return ValidationResult(result, scores, samples[0] if samples else [])

    def samples(self, model: Transformer, *, limit: int) -> list[Sample]:
        """Return samples of what a model generates; none once `stop()` is True."""
        loaded, folder = self._loaded(model), self.run / DATA
        return self.objective.samples(loaded, self.recipe, folder, self.stop, limit=limit)

    def _loaded(self, model: Transformer) -> LoadedModel:
        return LoadedModel.of(model, self.texts)


def compare_validations(
    recipe: Recipe, progress: Progress, validation: Validation | None
) -> Iterator[Event]:
    """Note what validations measure, for the best one; tell where that is not what it was."""
    if validation is None:
        progress.forget_best()
        if has_validation(recipe.data):
            yield Notice(
                "nothing of the validation text can be read: the last checkpoint counts as the best"
            )
        else:
            yield Remark("no validation text: the last checkpoint counts as the best")
        return
    if validation.notice and progress.step == 0:
        yield Notice(validation.notice)
    if validation.remark and progress.step == 0:
        yield Remark(validation.remark)
    drawn = OBJECTIVES[recipe.objective].has_random_split(recipe)
    if progress.set_measure(validation.measure(), may_differ=drawn):
        yield Notice(
            "the validation text, or how it is scored, is not what it was: scores of before do "
            "not compare, and the next validation counts as the best"
        )


def record_validation(
    recipe: Recipe, progress: Progress, result: ValidationResult
) -> Iterator[Event]:
    """Count a whole validation and report it, and once if another metric has to decide."""
    metric, loss = recipe.validation.metric, result.likelihood.loss
    decides, key = selection_key(metric, loss, result.scores)
    best = progress.record_validation(key)
    if decides != metric and decides not in progress.announced:
        progress.announced.append(decides)
        if notice := fallback_notice(metric, decides, result.scores):
            yield Notice(notice)
    of_tokens = OBJECTIVES[recipe.objective].unit == "token"
    perplexity = result.likelihood.perplexity if of_tokens else None
    yield Validated(progress.step, loss, perplexity, result.scores, result.sample, best, decides)
