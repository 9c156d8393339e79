"""Evaluation: perplexity, BLEU and chrF."""

from .perplexity import Likelihood, likelihood, text_likelihood
from .translation import Score, can_score_translations, check_tokenization, translation_scores

__all__ = [
    "Likelihood",
    "Score",
    "can_score_translations",
    "check_tokenization",
    "likelihood",
    "text_likelihood",
    "translation_scores",
]
