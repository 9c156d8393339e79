"""T5's span corruption, from running text."""

from dataclasses import replace
from typing import Any, ClassVar

from tokenizer.special import sentinel

from ...data import Framing, Ids, SpanCorruptionData, window_pieces
from ...data.noise import SpanOptions, corrupted_lengths, raw_length
from ...data.noise.spans import count_noise
from ...errors import ConfigError
from ...loading import ModelTexts
from ...pipelines.framing import pair_framing
from ..defaults import DEFAULTS
from ..noise_vocabulary import noise_vocabulary
from ..recipe import Recipe
from .reconstruction import Reconstruction
from .rules import T5_RULES, ObjectiveRules

_SENTINELS = 100  # of T5's tokenizers


class SpanCorruption(Reconstruction):
    """Span corruption: an encoder-decoder writes the spans that a text lacks.

    arXiv 1910.10683 §3.1.4: a sentinel stands for each span. Windows are full, whatever documents
    they are of, and spans are drawn anew in every epoch.
    """

    defaults: ClassVar[dict[str, Any]] = DEFAULTS["span-corruption"]
    rules: ClassVar[ObjectiveRules] = replace(T5_RULES, min_vocabulary=500, predicted=0.22)

    def special_tokens(self, recipe: Recipe) -> tuple[str, ...]:
        """Implement Objective.special_tokens: as many sentinels as T5 has, or as texts need."""
        options = recipe.spans
        spans = count_noise(raw_length(recipe.training.context, options), options)[1]
        needed = max(_SENTINELS, spans + options.closing_sentinel)
        return tuple(sentinel(number) for number in reversed(range(needed)))

    def batches(self, recipe: Recipe, texts: ModelTexts, ids: Ids) -> SpanCorruptionData:
        """Implement RunningText.batches. Raises ConfigError for a tokenizer without sentinels."""
        framing = pair_framing(texts)
        vocabulary = noise_vocabulary(texts.tokenizer, texts.tokenizer.largest_id + 1)
        if not vocabulary.sentinel_ids:
            raise ConfigError(
                f"the tokenizer has no sentinels, {sentinel(0)}, {sentinel(1)} …, which stand for "
                "spans of text: leave --tokenizer out, so that one with them is trained, or start "
                "from a model that has them, such as T5"
            )
        return SpanCorruptionData(
            window_pieces(ids, _text_length(recipe.training.context, recipe.spans, framing)),
            vocabulary=vocabulary,
            options=recipe.spans,
            framing=framing,
            max_tokens=recipe.training.batch_tokens,
            seed=recipe.seed,
        )


def _text_length(context: int, options: SpanOptions, framing: Framing) -> int:
    """Return the tokens of the longest text of which both sides fit into a context.

    Raises ConfigError if no text does.
    """
    length = raw_length(context, options)
    while length and max(framing.lengths(*corrupted_lengths(length, options))) > context:
        length -= 1
    if length < 2:
        raise ConfigError(
            f"training.context is {context}: a text with a sentinel and the tokens around it is "
            "longer; raise it"
        )
    return length
