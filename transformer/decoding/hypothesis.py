"""What searches are asked, and what they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Hypothesis(NamedTuple):
    """One finished text."""

    ids: list[int]  # without the end token
    score: float  # what hypotheses are ranked by: see SearchOptions.score
    log_probabilities: list[float]  # of each token, the end token's last if finished
    finished: bool  # False: cut off at the limit


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search."""

    end: frozenset[int]  # ids that end a text
    beam: int = 1
    n_best: int = 1
    length_penalty: float = 1.0
    processors: Mapping[str, float | None] = field(default_factory=dict)  # by name in PROCESSORS
    seed: int = 0
    keys: Sequence[int] = ()  # what identifies each row to the noise; the row's place if empty

    def score(self, log_probability: float, length: int) -> float:
        """`log p / length^α`, the end token counted in the length: Hugging Face's definition."""
        scale: float = max(1, length) ** self.length_penalty
        return log_probability / scale
