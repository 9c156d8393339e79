"""Evaluation: perplexity, BLEU and chrF."""

from .perplexity import Likelihood, TextLikelihood, likelihood, stored_likelihood, text_likelihood
from .significance import SIGNIFICANT, Comparison, check_comparable, compare_translations
from .translation import Score, can_score_translations, check_tokenization, translation_scores

__all__ = [
    "SIGNIFICANT",
    "Comparison",
    "Likelihood",
    "Score",
    "TextLikelihood",
    "can_score_translations",
    "check_comparable",
    "check_tokenization",
    "compare_translations",
    "likelihood",
    "stored_likelihood",
    "text_likelihood",
    "translation_scores",
]
