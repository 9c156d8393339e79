"""Masked language modelling, from running text."""

from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from tokenizer import Tokenizer
from tokenizer.special import MASK

from ...config import TransformerConfig
from ...data import Data, Ids, MaskedData, TokenStore, window_pieces
from ...data.noise import mask_tokens
from ...data.noise.vocabulary import IndexArray, RowIds
from ...errors import ConfigError
from ...evaluation import Score, masked_accuracy
from ...inputs import IGNORE
from ...labels import LabelInventory
from ...loading import LoadedModel, ModelTexts
from ...pipelines.filling import MaskRanking, show_masks
from ..defaults import DEFAULTS
from ..encoding import TEXT
from ..noise_vocabulary import noise_vocabulary
from ..recipe import Recipe
from .base import VALID, Sample, Stop, framed_by_own_tokens
from .rules import ObjectiveRules, RunningTextRules
from .running_text import RunningText, excerpts

_SAMPLE_TOKENS = 24


class MaskedLM(RunningText):
    """Masked language modelling: `p(token | all others)`, from running text.

    arXiv 1810.04805 §3.1, without its prediction of next sentences; masks are new in every epoch
    and windows are full, whatever documents they are of, as in arXiv 1907.11692 §4.1 and §4.2.
    """

    shapes: ClassVar[tuple[str, ...]] = ("encoder",)
    metrics: ClassVar[tuple[str, ...]] = ("loss", "accuracy")
    min_tokens: ClassVar[int] = 1
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["masked-lm"]
    # More tokens than a language model: what is fine-tuned reads other texts, whose words should be
    # whole. SST-2 after 3.5 MB: 75% right with 2,800 tokens and 77% with 4,200 in windows of 256,
    # 79% with 8,000 in windows of 64; which of the two did it was not taken apart.
    rules: ClassVar[ObjectiveRules] = RunningTextRules(
        presets=("bert-tiny", "bert-base"),
        learning_rates=(2e-3, 1e-4),
        vocabulary=4.3,
        min_vocabulary=400,
        reading=5.0,
        epochs=100.0,
        length="training.context",
        predicted=0.15,
    )

    def special_tokens(self, recipe: Recipe) -> tuple[str, ...]:
        """Implement Objective.special_tokens."""
        del recipe
        return (MASK,)

    def head_fields(
        self, network: TransformerConfig, labels: LabelInventory | None
    ) -> dict[str, Any]:
        """Implement Objective.head_fields."""
        del network, labels
        return {"head": "masked", "tie_output": True, "output_scale": 1.0, "output_bias": True}

    def frame_texts(self, texts: ModelTexts, shape: str) -> ModelTexts:
        """Implement Objective.frame_texts: BERT's tokens around each text, if there are none."""
        del shape
        return framed_by_own_tokens(texts)

    def batches(self, recipe: Recipe, texts: ModelTexts, ids: Ids) -> Data:
        """Implement RunningText.batches."""
        before, after = texts.special_affixes
        length = recipe.training.context - len(before) - len(after)
        if length < 1:
            raise ConfigError(
                f"training.context is {recipe.training.context}, of which the special tokens "
                "around a text leave none"
            )
        return MaskedData(
            window_pieces(ids, length),
            vocabulary=noise_vocabulary(texts.tokenizer, texts.tokenizer.largest_id + 1),
            options=recipe.masking,
            before=before,
            after=after,
            max_tokens=recipe.training.batch_tokens,
            seed=recipe.seed,
        )

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Compute the accuracy of the predicted tokens of the validation text."""
        data = self.open(recipe, loaded.texts, folder, VALID)
        if data is None:
            return {}
        batches = takewhile(lambda _: not stop(), data.in_order())
        return {"accuracy": masked_accuracy(loaded.model, batches)}

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return lines with masks, the words that these stand for, and what the model fills in."""
        tokenizer, masking = loaded.tokenizer, recipe.masking
        vocabulary = noise_vocabulary(tokenizer, tokenizer.largest_id + 1)
        options = msgspec.structs.replace(
            masking, masked=1.0, random=0.0, kept=0.0, whole_words=True
        )
        ids, end_id = TokenStore(folder / VALID / TEXT).ids, loaded.generation.end_id
        length = min(_SAMPLE_TOKENS, recipe.training.context // 2)
        ranking = MaskRanking(loaded, 1)
        samples: list[Sample] = []
        pieces = excerpts(ids, end_id=end_id, length=length, limit=limit)
        for number, piece in enumerate(takewhile(lambda _: not stop(), pieces)):
            starts = np.flatnonzero(vocabulary.word_starts(piece[1:], whole_words=True)) + 1
            text = piece[starts[0] :] if len(starts) else piece
            noisy, targets = mask_tokens(text, np.random.default_rng(number), vocabulary, options)
            masked = np.flatnonzero(targets != IGNORE)
            (ranked,) = ranking([noisy.tolist()])
            filled = noisy.copy()
            filled[masked] = [tokens.ids[0] for tokens in ranked]
            samples.append(
                [
                    ("masked", show_masks(tokenizer, noisy.tolist())),
                    ("words", _words_at(tokenizer, text, masked)),
                    ("output", _words_at(tokenizer, filled, masked)),
                ]
            )
        return samples


def _words_at(tokenizer: Tokenizer, ids_T: RowIds, indices: IndexArray) -> str:
    """Return the texts of tokens, of those that follow one another together."""
    runs = np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
    return ", ".join(tokenizer.decode(ids_T[run].tolist()).strip() for run in runs)
