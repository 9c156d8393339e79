"""Evaluation: perplexity, BLEU and chrF; labels, numbers and spans."""

from .classification import (
    CALIBRATION_BINS,
    CalibrationBin,
    ClassificationReport,
    MultiLabelReport,
    calibration_bins,
    calibration_score,
    classification_report,
    confusion_matrix,
    expected_calibration_error,
    multilabel_report,
)
from .labels import (
    LABEL_REPORTS,
    THRESHOLD,
    LabelReport,
    label_outputs,
    label_report,
    label_scores,
)
from .masked import masked_accuracy
from .perplexity import Likelihood, TextLikelihood, likelihood, stored_likelihood, text_likelihood
from .precision_recall import AveragedScores, LabelCounts, PrecisionRecall
from .regression import RegressionReport, average_ranks, regression_report
from .score import Score
from .significance import SIGNIFICANT, Comparison, check_comparable, compare_translations
from .span_scores import SpanReport, span_report
from .tags import TagReport, tag_outputs, tag_report, tag_scores
from .translation import can_score_translations, check_tokenization, translation_scores

__all__ = [
    "CALIBRATION_BINS",
    "LABEL_REPORTS",
    "SIGNIFICANT",
    "THRESHOLD",
    "AveragedScores",
    "CalibrationBin",
    "ClassificationReport",
    "Comparison",
    "LabelCounts",
    "LabelReport",
    "Likelihood",
    "MultiLabelReport",
    "PrecisionRecall",
    "RegressionReport",
    "Score",
    "SpanReport",
    "TagReport",
    "TextLikelihood",
    "average_ranks",
    "calibration_bins",
    "calibration_score",
    "can_score_translations",
    "check_comparable",
    "check_tokenization",
    "classification_report",
    "compare_translations",
    "confusion_matrix",
    "expected_calibration_error",
    "label_outputs",
    "label_report",
    "label_scores",
    "likelihood",
    "masked_accuracy",
    "multilabel_report",
    "regression_report",
    "span_report",
    "stored_likelihood",
    "tag_outputs",
    "tag_report",
    "tag_scores",
    "text_likelihood",
    "translation_scores",
]
