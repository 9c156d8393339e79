"""Scores: perplexity, BLEU, chrF."""

from .perplexity import Likelihood, batch_loss, likelihood, text_likelihood
from .translation import MissingExtraError, Score, translation_scores

__all__ = [
    "Likelihood",
    "MissingExtraError",
    "Score",
    "batch_loss",
    "likelihood",
    "text_likelihood",
    "translation_scores",
]
