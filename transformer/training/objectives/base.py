"""The interface of training objectives."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from tokenizer import CorpusCounts

from ...batch_loss import batch_loss
from ...config import TransformerConfig
from ...data import Batch, Data
from ...evaluation import Score
from ...labels import LabelInventory
from ...loading import LoadedModel, ModelTexts
from ...model import Transformer
from ...pipelines.session import Session
from ..data_report import DataReport
from ..recipe import Recipe
from .rules import ObjectiveRules

Stop = Callable[[], bool]  # True once work should end
Sample = list[tuple[str, str]]  # labels and texts

TRAIN, VALID = "train", "valid"


class Objective(ABC):
    """A way of training models of some shapes."""

    shapes: ClassVar[tuple[str, ...]]  # of the models that it trains
    defaults: ClassVar[dict[str, Any]]  # the lowest layer of its recipes
    metrics: ClassVar[tuple[str, ...]]  # that can choose the best checkpoint
    texts: ClassVar[tuple[str, ...]]  # keys of the texts that it reads
    corpora: ClassVar[str | None] = None  # the key of files that may be mixed
    packs: ClassVar[bool] = False  # True: whole documents together in a window, if asked for
    rules: ClassVar[ObjectiveRules]  # to choices for its runs
    unit: ClassVar[str] = "token"  # of what is predicted

    @abstractmethod
    def check(self, recipe: Recipe) -> None:
        """Raise ConfigError if the recipe names no text of the kind that is needed.

        Raises MissingExtraError if its metric cannot be computed.
        """

    def head_fields(
        self, network: TransformerConfig, labels: LabelInventory | None
    ) -> dict[str, Any]:
        """Return the fields of a network's head that this training needs; it may have another yet.

        They win over a preset's, and what the recipe says of its model wins over them. Without
        labels, which follow from the text, they are those of some network of the kind.
        """
        del network, labels
        return {"head": "linear"}

    def labels(self, folder: Path) -> LabelInventory | None:
        """Return the labels of a text that is prepared below `folder`; None if it has none."""
        del folder
        return None

    def special_tokens(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the special tokens that a new tokenizer needs beside the basic ones."""
        del recipe
        return ()

    def frame_texts(self, texts: ModelTexts, shape: str) -> ModelTexts:
        """Return the texts of a new model with the special tokens that this training needs."""
        del shape
        return texts

    def framing_settings(self, texts: ModelTexts) -> dict[str, Any]:
        """Return what the ids of the text depend on, beside tokenizer and recipe."""
        del texts
        return {}

    @abstractmethod
    def max_length(self, recipe: Recipe) -> int:
        """Return the largest number of tokens in one sequence, which the model must support."""

    def max_target_length(self, recipe: Recipe) -> int:
        """Return the same of the text that an encoder-decoder writes."""
        return self.max_length(recipe)

    @abstractmethod
    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Yield the text to train a tokenizer on."""

    def has_random_split(self, recipe: Recipe) -> bool:
        """Return True if the recipe's seed decides which text is for validation."""
        del recipe
        return False

    @abstractmethod
    def prepare(
        self, recipe: Recipe, texts: ModelTexts, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Write the ids of both parts below `folder`, and report on them."""

    @abstractmethod
    def open(self, recipe: Recipe, texts: ModelTexts, folder: Path, part: str) -> Data | None:
        """Return the batches of a prepared part, TRAIN or VALID; None if it is empty."""

    def loss(self, model: Transformer, batch: Batch, *, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return sums over a batch's targets: the loss, with gradients, and the plain one."""
        return batch_loss(model, batch, smoothing=smoothing)

    def scored_part(self, recipe: Recipe, folder: Path) -> dict[str, str]:
        """Return what identifies the part of the validation text that is scored; {}: all."""
        del recipe, folder
        return {}

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Compute scores on the validation text other than the loss; none once `stop()` is True."""
        del loaded, recipe, folder, stop
        return {}

    @abstractmethod
    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return up to `limit` samples of what the model generates; none after `stop()`."""


def framed_by_own_tokens(texts: ModelTexts) -> ModelTexts:
    """Return texts with BERT's tokens around each, a tokenizer's own, if there are none yet.

    Where its tokens have other names, they are those that the model's settings of decoding say.
    """
    if texts.source_affixes is not None or texts.tokenizer.special_affixes() != ([], []):
        return texts
    begin, end = (texts.tokenizer.role(role) for role in ("begin", "end"))
    begin = texts.generation.bos_token_id if begin is None else begin
    end = texts.generation.end_id if end is None else end
    return replace(texts, source_affixes=([] if begin is None else [begin], [end]))


def single_session(loaded: LoadedModel, stop: Stop) -> Session:
    """Return a session with one engine, which computes with all threads beside training's."""
    return Session([loaded], max_engines=1, stop=stop)
