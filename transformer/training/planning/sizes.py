"""Rules from a text's size to a tokenizer's, a model's and a run's: tables and pure functions."""

import math
from typing import NamedTuple

from ...config import TransformerConfig
from ...parameters import parameters_by_part
from .facts import TextFacts

CHARACTER_TOKENS = {"char": 1.0}  # characters a token, of kinds with a fixed number


class ObjectiveRules(NamedTuple):
    """Choices of one objective, measured on two cores unless said otherwise.

    manythings (47,415 pairs): translate-tiny 43.8 BLEU after 400 seconds, translate-small 38.9
    after 550. 450 kB of Shakespeare (write-tiny, 1,000 tokens): 2.55 bits a byte after 80 seconds.
    """

    presets: tuple[str, ...]  # from the smallest to the largest
    learning_rates: tuple[float, ...]  # of each
    vocabulary: float  # tokens for the square root of a text's characters
    min_vocabulary: int
    max_vocabulary: int
    reading: float  # tokens to be read in all, for each weight of a layer
    weights: float  # of layers, for each token of the text, at most
    epochs: float  # at most


RULES = {
    "translation": ObjectiveRules(
        presets=("translate-tiny", "translate-small", "base"),
        learning_rates=(4e-3, 1e-3, 7e-4),
        vocabulary=2.8,
        min_vocabulary=300,
        max_vocabulary=16_000,
        reading=5.0,
        weights=20.0,
        epochs=40.0,
    ),
    "language-model": ObjectiveRules(
        presets=("write-tiny", "write-small"),
        learning_rates=(3e-3, 1e-3),
        vocabulary=1.5,
        min_vocabulary=400,
        max_vocabulary=16_000,
        reading=3.0,
        weights=20.0,
        epochs=20.0,
    ),
}


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


def validation_share(pairs: int | None) -> float:
    """Return the share to validate on: about 1,000 pairs, or the last twentieth of a text.

    Of few pairs it is a twentieth, or a tenth; `pairs` is None for running text.
    """
    if pairs is None:
        return 0.05
    return 0.1 if pairs < 1000 else float(f"{min(0.05, 1000 / pairs):.2g}")
