"""Scores of tags: of spans by their labels, or of words by their tags."""

from ..io.tag_scores import ScoredTags
from .evaluation import Evaluation
from .label_scores import LabelTable, per_cent


def evaluation_of_tags(found: ScoredTags) -> Evaluation:
    """Return the evaluation of a tagger."""
    result, report = Evaluation(found.read, found.counts), found.report
    result.add_scores(report.scores, texts=found.texts, words=found.words)
    _, micro, macro, weighted, _ = averaged = report.averaged
    result.parts.append(LabelTable(averaged.labels, "span" if report.are_spans else "word"))
    averages = {"micro": micro, "macro": macro, "weighted": weighted}
    result.record["averages"] = {name: per_cent(each) for name, each in averages.items()}
    result.record["labels"] = {name: per_cent(each) for name, each in averaged.labels.items()}
    return result
