"""The base of objectives on running text: one stream of ids, with the ends of documents."""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from tokenizer import CorpusCounts, CorpusError
from tokenizer.quantities import format_count

from ...data import Data, Ids, TokenStore
from ...data.noise.vocabulary import RowIds
from ...loading import ModelTexts
from ..corpora import RunningCorpus
from ..data_recipe import mixes
from ..data_report import DataReport
from ..encoding import TEXT, TextEncoder
from ..mixture import corpus_shares, mix
from ..recipe import Recipe
from .base import TRAIN, VALID, Objective


class RunningText(Objective):
    """Training on running text. A subclass says which batches are made of its stream of ids."""

    texts: ClassVar[tuple[str, ...]] = ("text", "valid_text")
    corpora: ClassVar[str | None] = "text"
    metrics: ClassVar[tuple[str, ...]] = ("loss",)
    min_tokens: ClassVar[int] = 3  # of a part
    begins_documents: ClassVar[bool] = False  # True: as the model begins every text

    def check(self, recipe: Recipe) -> None:
        """Implement Objective.check."""
        RunningCorpus(recipe.data, CorpusCounts()).check()

    def max_length(self, recipe: Recipe) -> int:
        """Implement Objective.max_length."""
        return recipe.training.context

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Implement Objective.lines."""
        return RunningCorpus(recipe.data, counts).lines()

    def prepare(
        self, recipe: Recipe, texts: ModelTexts, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Implement Objective.prepare."""
        corpus = RunningCorpus(recipe.data, counts)
        train, valid = (
            TextEncoder(texts, begins_documents=self.begins_documents) for _ in range(2)
        )
        training = train.write(corpus.training(), folder / TRAIN)
        shares = corpus_shares(recipe.data, training.files)
        training = msgspec.structs.replace(training, shares=shares)
        validation = valid.write(corpus.validation(), folder / VALID, training=train)
        return DataReport(training, validation if validation.files else None)

    def open(self, recipe: Recipe, texts: ModelTexts, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        ids = TokenStore(folder / part / TEXT).ids
        if not len(ids):
            return None
        if part == TRAIN and mixes(recipe.data):

            def open_file(first: int, end: int) -> Data:
                follows = first > 0 and self.begins_documents
                before = int(follows and ids[first - 1] == texts.generation.end_id)
                return self._open(recipe, texts, ids[first - before : end], "text of a file")

            return mix(recipe, folder, open_file)
        return self._open(recipe, texts, ids, f"{part} text")

    def _open(self, recipe: Recipe, texts: ModelTexts, ids: Ids, name: str) -> Data:
        """Return the batches of a stream of ids. Raises CorpusError for too short a one."""
        if len(ids) < self.min_tokens:
            tokens = format_count(len(ids), "token")
            raise CorpusError(
                f"the {name} has {tokens} with its ends; at least {self.min_tokens} are needed"
            )
        return self.batches(recipe, texts, ids)

    @abstractmethod
    def batches(self, recipe: Recipe, texts: ModelTexts, ids: Ids) -> Data:
        """Return the batches of a stream of ids."""


def excerpts(ids: Ids, *, end_id: int, length: int, limit: int) -> list[RowIds]:
    """Return up to `limit` pieces of a stream, from all over it, without the ends of documents.

    Each has up to `length` tokens, and none reaches beyond its document.
    """
    pieces: list[RowIds] = []
    for number in range(limit):
        start = (2 * number + 1) * len(ids) // (2 * limit)
        window: RowIds = np.asarray(ids[start : start + 4 * length])
        ends = np.flatnonzero(window == end_id)
        borders = [-1, *ends.tolist(), len(window)]
        first, last = max(pairwise(borders), key=lambda pair: pair[1] - pair[0])
        if last - first > 1:
            pieces.append(window[first + 1 : last][:length])
    return pieces
