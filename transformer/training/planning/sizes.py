"""Rules from a text's size to a tokenizer's, a model's and a run's: tables and pure functions."""

import math
from dataclasses import dataclass

from ...config import TransformerConfig
from ...parameters import parameters_by_part
from ...presets import preset_config
from ..objectives.rules import ObjectiveRules
from ..recipe import Recipe
from .facts import TextFacts

CHARACTER_TOKENS = {"char": 1.0}  # characters a token, of kinds with a fixed number


@dataclass
class SizeCandidate:
    """A size of model, and the time of its step on this machine in its best precision."""

    recipe: Recipe
    config: TransformerConfig
    step_seconds: float
    precision: str
    gain: float  # float32's time by bfloat16's

    def tokens_read(self, seconds: float, batches_per_epoch: float, epochs: float) -> float:
        """Return the tokens that are read in a time, and in no more than some epochs."""
        steps = min(0.9 * seconds / self.step_seconds, epochs * batches_per_epoch)
        sides = 2 if self.config.shape == "encoder-decoder" else 1
        return steps * self.recipe.training.batch_tokens * sides


def vocabulary_size(rules: ObjectiveRules, facts: TextFacts, *, spells_bytes: bool) -> int:
    """Return a number of tokens that grows with the root of the text, in two digits.

    A tokenizer of characters, unlike one that spells them in bytes, has room for twice those of
    the text, as in Chinese, besides 256 bytes.
    """
    size = rules.vocabulary * math.sqrt(facts.characters)
    if not spells_bytes and 2.2 * facts.alphabet > rules.min_vocabulary / 2:
        size = max(size, 2.2 * facts.alphabet + 300)
    size = min(max(size, rules.min_vocabulary), rules.max_vocabulary)
    digits: int = 10 ** (len(str(int(size))) - 2)
    return round(size / digits) * digits


def characters_per_token(kind: str, vocab_size: int, facts: TextFacts) -> float:
    """Estimate the mean length of a token: 2.6 characters for 1,000 tokens, 3.5 for 4,000.

    Scripts without spaces have shorter words.
    """
    if kind in CHARACTER_TOKENS:
        return CHARACTER_TOKENS[kind]
    spaced = max(1.2, 0.45 * math.log2(max(2, vocab_size)) - 1.9)
    return spaced * (1 - facts.unspaced) + min(1.4, spaced) * facts.unspaced


def layer_weights(config: TransformerConfig) -> int:
    """Return the number of weights in a model's layers, without embeddings."""
    parts = parameters_by_part(config)
    return parts.get("encoder", 0) + parts.get("decoder", 0)


def dropout_for(tokens: float, weights: int) -> float:
    """Return a rate of dropout: the more weights for each token of the text, the higher."""
    per_token = weights / max(1.0, tokens)
    return 0.1 if per_token < 2 else 0.2 if per_token < 12 else 0.3


def further_learning_rate(rules: ObjectiveRules, model: TransformerConfig) -> float:
    """Return a part of the rate of a new model that is about as large as one to train further.

    Beyond the largest preset rates fall with the cube root of the weights, about as those of
    GPT-3 do (Brown et al. 2020, table 2.1).
    """
    weights = max(1, layer_weights(model))
    sizes = [layer_weights(preset_config(name, vocab_size=1)) for name in rules.presets]
    distances = [abs(math.log(weights / size)) for size in sizes]
    rate = rules.further * rules.learning_rates[distances.index(min(distances))]
    beyond = max(1.0, weights / max(sizes))
    return float(f"{rate / beyond ** (1 / 3):.3g}")
