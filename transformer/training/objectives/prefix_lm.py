"""Language modelling after a prefix that an encoder reads, from running text."""

from dataclasses import replace
from typing import Any, ClassVar

from ...data import Ids, PrefixData
from ...loading import ModelTexts
from ...pipelines.framing import pair_framing
from ..defaults import DEFAULTS
from ..recipe import Recipe
from .reconstruction import Reconstruction, document_texts
from .rules import T5_RULES, ObjectiveRules


class PrefixLM(Reconstruction):
    """Prefix language modelling: an encoder-decoder goes on with a text whose beginning it reads.

    arXiv 1910.10683 §3.2.3: the cut is drawn anew in every epoch. Texts are documents, cut where
    they are too long.
    """

    defaults: ClassVar[dict[str, Any]] = DEFAULTS["prefix-lm"]
    rules: ClassVar[ObjectiveRules] = replace(T5_RULES, predicted=0.5)

    def batches(self, recipe: Recipe, texts: ModelTexts, ids: Ids) -> PrefixData:
        """Implement RunningText.batches."""
        return PrefixData(
            document_texts(recipe, texts, ids),
            framing=pair_framing(texts),
            max_tokens=recipe.training.batch_tokens,
            seed=recipe.seed,
        )
