"""Scores of tags: spans that are right from their first word to their last, and single tags."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from ..labels import Span, read_spans, read_spans_strictly
from .precision_recall import AveragedScores, LabelCounts, rounded
from .score import Score


class SpanReport(NamedTuple):
    """The scores of tags by the spans that they stand for, as seqeval counts them.

    A span is right if its words and its label are; `scores` is of the labels that spans have.
    """

    scores: AveragedScores
    accuracy: float  # the fraction of words with their own tag
    words: int
    scheme: str | None  # that tags must obey; None: they are read as conlleval does

    def by_name(self) -> dict[str, Score]:
        """Return the spans' F1, micro and macro, and the tags' accuracy, by name."""
        micro, macro = self.scores.micro, self.scores.macro
        mode = "default" if self.scheme is None else f"strict:{self.scheme}"
        spans = format_count(micro.support, "span")
        labels = format_count(len(self.scores.labels), "label")
        right = f"{round(self.accuracy * self.words):,} of {format_count(self.words, 'word')}"
        signature = f"spans:{mode}|undefined:0"
        scores = [
            Score(
                "span_f1",
                100 * micro.f1,
                f"average:micro|{signature}",
                f"{rounded(micro)}; {spans}",
            ),
            Score(
                "span_f1_macro",
                100 * macro.f1,
                f"average:macro|{signature}",
                f"{rounded(macro)}; {labels}",
            ),
            Score("accuracy", 100 * self.accuracy, f"words:{self.words}", right),
        ]
        informative = micro.f1 > 0
        return {score.name: score._replace(informative=informative) for score in scores}


def span_report(
    references: Sequence[Sequence[str]],
    predictions: Sequence[Sequence[str]],
    *,
    scheme: str | None = None,
) -> SpanReport:
    """Return the scores of predicted tags, a sequence for each sentence.

    By default tags are read as conlleval does, whatever their scheme: what is invalid in it still
    makes spans. With a scheme, only spans that obey it count, as in seqeval's strict mode. Raises
    CorpusError without words, and for no tags of spans.
    """
    correct: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    support: Counter[str] = Counter()
    right = words = 0
    for truth, given in zip(references, predictions, strict=True):
        right += sum(tag == other for tag, other in zip(truth, given, strict=True))
        words += len(truth)
        there, said = (_spans(tags, scheme) for tags in (truth, given))
        support.update(span.label for span in there)
        predicted.update(span.label for span in said)
        correct.update(span.label for span in there & said)
    if not words:
        raise CorpusError("no tags to compare: there is not a word")
    counts = {
        label: LabelCounts(correct[label], predicted[label], support[label])
        for label in sorted(support | predicted)
    }
    return SpanReport(AveragedScores.of(counts), right / words, words, scheme)


def _spans(tags: Sequence[str], scheme: str | None) -> set[Span]:
    return set(read_spans(tags) if scheme is None else read_spans_strictly(tags, scheme))
