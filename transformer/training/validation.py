"""Validation of a model in training: its loss, scores and a sample, whole or not at all."""

import math
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import msgspec

from tokenizer import Tokenizer

from ..data import Data
from ..errors import DivergedError
from ..evaluation import Likelihood, Score, likelihood
from ..folder_layout import DATA
from ..loading import LoadedModel, default_generation_config
from .objectives import OBJECTIVES, VALID
from .prepared_folder import part_identity
from .progress import REMEDY
from .recipe import Recipe
from .trainer import Trainer

_DECIDING = ("metric", "beam", "max_lines", "tokenize")  # settings that scores depend on


class ValidationResult(NamedTuple):
    """Results on the whole validation text."""

    likelihood: Likelihood
    scores: dict[str, Score]
    sample: list[tuple[str, str]]  # labels and texts


class Validation:
    """The validation text of a run, on which `compute` measures the model as it is."""

    def __init__(
        self,
        recipe: Recipe,
        run: Path,
        tokenizer: Tokenizer,
        data: Data,
        stop: Callable[[], bool],
    ) -> None:
        self.recipe, self.run, self.tokenizer = recipe, run, tokenizer
        self.data, self.stop = data, stop
        self.objective = OBJECTIVES[recipe.objective]

    def measure(self) -> str:
        """Return an identity of what is measured: of the text, and of how it is scored."""
        settings = msgspec.to_builtins(self.recipe.validation)
        deciding = {name: settings[name] for name in _DECIDING}
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
            settings = default_generation_config(self.tokenizer)
            loaded = LoadedModel(model, self.tokenizer, settings, self.run)
            scores = self.objective.scores(loaded, self.recipe, folder, self.stop)
            if self.stop():
                return None
            sample = self.objective.sample(loaded, self.recipe, folder, self.stop)
        return None if self.stop() else ValidationResult(result, scores, sample)
