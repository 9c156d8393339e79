"""One group of a request's beams, and what has finished."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..request import Hypothesis, SequenceState
from .parameters import SearchParameters

NEG_INF = float("-inf")


@dataclass
class Group:
    """Beams that compete with one another, best first, and their best finished hypotheses."""

    size: int  # beams
    finished: list[Hypothesis] = field(default_factory=list)  # at most one a beam, best first

    def select(
        self,
        states: Sequence[SequenceState],
        candidates: Iterable[tuple[float, int, int]],
        parameters: SearchParameters,
    ) -> tuple[list[int], list[int]]:
        """Return the candidates that finish a hypothesis, and the new beams, best first.

        A candidate is its score, its parent's row and its token; `states` are those of the beams.
        """
        finished: list[int] = []
        live: list[int] = []
        for index, (score, row, token) in enumerate(candidates):
            if score == NEG_INF or len(live) == self.size:
                break
            reason = parameters.finish_reason(states[row % self.size].extend(token))
            if reason is None:
                live.append(index)
            elif index < self.size:
                finished.append(index)
        return finished, live

    def add_finished(self, hypothesis: Hypothesis) -> None:
        """Add a hypothesis; the group keeps as many of the best as it has beams."""
        self.finished.append(hypothesis)
        self.finished.sort(key=lambda hypothesis: -hypothesis.score)
        del self.finished[self.size :]
