"""BART's denoising, from running text."""

from typing import Any, ClassVar

from tokenizer.special import MASK

from ...data import DenoisingData, Ids
from ...loading import ModelTexts
from ...pipelines.framing import pair_framing
from ..defaults import DEFAULTS
from ..noise_vocabulary import noise_vocabulary
from ..recipe import Recipe
from .reconstruction import Reconstruction, document_texts
from .rules import ObjectiveRules, RunningTextRules


class Denoising(Reconstruction):
    """Denoising: an encoder-decoder writes a whole text from a noisy form of it.

    arXiv 1910.13461 §2.2; the noises that the recipe names are drawn anew in every epoch. Texts
    are documents, cut where they are too long.
    """

    defaults: ClassVar[dict[str, Any]] = DEFAULTS["denoising"]
    rules: ClassVar[ObjectiveRules] = RunningTextRules(
        presets=("bart-tiny", "bart-base"),
        learning_rates=(1e-3, 1e-4),
        vocabulary=1.5,
        min_vocabulary=400,
        reading=5.0,
        epochs=100.0,
        length="training.context",
    )

    def special_tokens(self, recipe: Recipe) -> tuple[str, ...]:
        """Implement Objective.special_tokens."""
        return (MASK,) if recipe.denoising.writes_masks else ()

    def batches(self, recipe: Recipe, texts: ModelTexts, ids: Ids) -> DenoisingData:
        """Implement RunningText.batches."""
        return DenoisingData(
            document_texts(recipe, texts, ids),
            vocabulary=noise_vocabulary(texts.tokenizer, texts.tokenizer.largest_id + 1),
            options=recipe.denoising,
            framing=pair_framing(texts),
            max_tokens=recipe.training.batch_tokens,
            seed=recipe.seed,
        )
