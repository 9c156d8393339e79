"""Texts with labels, or words with tags: what an objective of either has."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from tokenizer import CorpusCounts

from ...loading import ModelTexts
from ..data_report import DataReport
from ..drawn_corpus import LabelledTexts
from ..drawn_encoding import DrawnEncoder
from ..recipe import Recipe
from .base import TRAIN, VALID, framed_by_own_tokens
from .drawn import DrawnObjective
from .rules import LabelledRules, ObjectiveRules


class LabelledObjective(DrawnObjective):
    """An objective of a head over labels, which are those of the training text."""

    shapes: ClassVar[tuple[str, ...]] = ("encoder", "decoder")
    corpus: ClassVar[type[LabelledTexts[Any, Any]]]
    encoder: ClassVar[type[DrawnEncoder[Any, Any, Any]]]
    rules: ClassVar[ObjectiveRules] = LabelledRules(
        presets=("bert-tiny", "bert-base"),
        learning_rates=(1e-3, 1e-4),
        further=0.5,
        vocabulary=5.0,
        min_vocabulary=400,
        reading=1.0,
        epochs=10.0,
        length="data.max_tokens",
    )

    @abstractmethod
    def write_inventory(self, folder: Path, inventory: Any) -> None:
        """Write the labels of a prepared text below its folder."""

    def frame_texts(self, texts: ModelTexts, shape: str) -> ModelTexts:
        """Implement Objective.frame_texts."""
        return framed_by_own_tokens(texts) if shape == "encoder" else texts

    def prepare(
        self, recipe: Recipe, texts: ModelTexts, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Implement Objective.prepare. Raises CorpusError for text without labels to tell apart."""
        corpus = self.corpus(recipe.data, counts, recipe.seed)
        inventory, length = corpus.inventory(), recipe.data.max_tokens
        train, valid = (self.encoder(texts, inventory, max_tokens=length) for _ in range(2))
        training = train.write(corpus.training(), folder / TRAIN)
        validation = valid.write(corpus.validation(inventory), folder / VALID, training=train)
        self.write_inventory(folder, inventory)
        return DataReport(training, validation if validation.files else None)
