"""A score: its value, and how it was computed."""

from typing import NamedTuple


class Score(NamedTuple):
    """A corpus-level score with a signature, which records how it was computed.

    BLEU, chrF, accuracy, F1 and correlations are in per cent. A score carries information about a
    model if it tells it from one that has learnt nothing. Of translations, that is one whose texts
    come at least 2% of the way from chance to a perfect score, where chance is what they score with
    the references of other lines. BLEU also needs 10 matches of each n-gram order: with fewer,
    smoothing and luck decide it. Of labels, it is one that does not give all texts the same.
    """

    name: str
    value: float
    signature: str  # sacreBLEU's, or in its form
    details: str
    informative: bool = True  # False is said only if it was looked into
