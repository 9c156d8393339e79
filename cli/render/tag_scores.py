"""Scores of tags: of spans by their labels, or of words by their tags."""

from ..io.tag_scores import ScoredTags
from .evaluation import Evaluation
from .label_scores import LabelTable, per_cent


def evaluation_of_tags(found: ScoredTags) -> Evaluation:
    """Return the evaluation of a tagger."""
    result, report = Evaluation(found.read, found.counts), found.report
    result.add_scores(report.scores, texts=found.texts, words=found.words)
    averaged = report.averaged
    result.parts.append(LabelTable(averaged.labels, "span" if report.are_spans else "word"))
    for key, scores in {"averages": averaged.averages, "labels": averaged.labels}.items():
        result.record[key] = {name: per_cent(each) for name, each in scores.items()}
    return result
