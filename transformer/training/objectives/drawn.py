"""Objectives that train on texts of files, some of which may be drawn for validation."""

from collections.abc import Iterator
from typing import Any, ClassVar

from tokenizer import CorpusCounts

from ..drawn_corpus import DrawnCorpus
from ..recipe import Recipe
from .base import Objective


class DrawnObjective(Objective):
    """An objective of one kind of texts, a `corpus` of them in all of its files."""

    corpus: ClassVar[type[DrawnCorpus[Any]]]

    def check(self, recipe: Recipe) -> None:
        """Implement Objective.check."""
        self.corpus(recipe.data, CorpusCounts(), recipe.seed).check()

    def max_length(self, recipe: Recipe) -> int:
        """Implement Objective.max_length."""
        return recipe.data.max_tokens

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Implement Objective.lines."""
        return self.corpus(recipe.data, counts, recipe.seed).lines()

    def has_random_split(self, recipe: Recipe) -> bool:
        """Implement Objective.has_random_split."""
        return self.corpus(recipe.data, CorpusCounts(), recipe.seed).has_random_split
