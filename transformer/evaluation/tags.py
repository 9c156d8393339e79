"""Scores of a head over the tags of tokens, by the tags of words.

Shape suffixes: B texts, T tokens, L labels.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tokenizer.quantities import format_count

from ..finite import require_finite
from ..inputs import Batch
from ..labels import span_tag
from ..model import Transformer
from .classification import f1_scores
from .precision_recall import AveragedScores, LabelCounts
from .score import Score
from .span_scores import span_report


@torch.no_grad()
def tag_outputs(model: Transformer, batches: Iterable[Batch]) -> dict[int, NDArray[np.int64]]:
    """Return the likeliest labels' ids of the tokens of each row, those of padding too."""
    outputs: dict[int, NDArray[np.int64]] = {}
    for batch in batches:
        logits_BTL = require_finite(model(batch.to(model.device).inputs).float())
        ids_BT = logits_BTL.argmax(-1).cpu().numpy()
        outputs.update(zip(batch.rows.tolist(), ids_BT, strict=True))
    return outputs


class TagReport(NamedTuple):
    """All scores of the tags of texts' words: of each label of spans, or of each tag."""

    scores: dict[str, Score]
    averaged: AveragedScores
    are_spans: bool


def tag_report(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], *, are_spans: bool
) -> TagReport:
    """Return what is measured of the tags of texts' words: of spans as seqeval has it.

    Tags that stand for no spans have accuracy and F1, as scikit-learn has them.
    """
    if are_spans:
        sides = ([[*map(span_tag, tags)] for tags in side] for side in (references, predictions))
        found = span_report(*sides)
        return TagReport(found.by_name(), found.scores, are_spans)
    pairs = _pairs(references, predictions)
    truth, given = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    correct = Counter(tag for tag, other in pairs if tag == other)
    averaged = AveragedScores.of(
        {tag: LabelCounts(correct[tag], given[tag], truth[tag]) for tag in sorted(truth | given)}
    )
    accuracy = _accuracy(references, predictions)
    scores = [accuracy, *f1_scores(averaged, "observed")]
    return TagReport({each.name: each for each in scores}, averaged, are_spans)


def tag_scores(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], *, are_spans: bool
) -> dict[str, Score]:
    """Return the scores of the tags of texts' words by name: of spans as seqeval has them.

    Tags that stand for no spans have the accuracy alone. Raises CorpusError without words.
    """
    if are_spans:
        return tag_report(references, predictions, are_spans=True).scores
    return {"accuracy": _accuracy(references, predictions)}


def _accuracy(references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> Score:
    pairs = _pairs(references, predictions)
    right = sum(tag == other for tag, other in pairs)
    value = 100 * right / max(1, len(pairs))
    informative = len({given for _, given in pairs}) > 1
    details = f"{right:,} of {format_count(len(pairs), 'word')}"
    return Score("accuracy", value, f"words:{len(pairs)}", details, informative)


def _pairs(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]
) -> list[tuple[str, str]]:
    """Return each word's own tag and the one that it is given."""
    sides = zip(references, predictions, strict=True)
    return [pair for truth, given in sides for pair in zip(truth, given, strict=True)]
