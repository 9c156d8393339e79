"""One group of a request's beams: what must still occur in each, and what has finished."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..constraints.phrase_coverage import PhraseCoverage, allocate_beams
from ..request import Hypothesis, SequenceState
from .parameters import SearchParameters

NEG_INF = float("-inf")


@dataclass
class Group:
    """Beams that compete with one another, best first, and their best finished hypotheses."""

    coverages: list[PhraseCoverage | None]  # of each beam; None: no phrases must occur
    finished: list[Hypothesis] = field(default_factory=list)  # at most one a beam, best first

    @property
    def size(self) -> int:
        """The number of beams."""
        return len(self.coverages)

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
        live: list[tuple[float, int, int, PhraseCoverage | None]] = []
        rank = 0
        for index, (score, row, token) in enumerate(candidates):
            beam = row % self.size
            coverage = self.coverages[beam]
            if score == NEG_INF or (coverage is None and len(live) == self.size):
                break
            if coverage is not None and token not in parameters.end_ids:
                coverage = coverage.advance(token)  # an end token is no part of a phrase
            state = states[beam].extend(token)
            reason = parameters.finish_reason(state)
            room = state.request.max_new_tokens - len(state.generated_ids)
            missing = 0 if coverage is None else coverage.missing
            complete = coverage is None or coverage.done
            if reason is not None and complete and rank < self.size:
                finished.append(index)
            elif reason is None and missing <= room:
                live.append((score, missing, index, coverage))
            rank += complete  # a beam that lacks a phrase cannot keep another from ending
        kept = allocate_beams([(score, missing) for score, missing, *_ in live], self.size)
        coverages = [live[index][3] for index in kept]
        self.coverages = coverages + self.coverages[:1] * (self.size - len(kept))
        return finished, [live[index][2] for index in kept]

    def add_finished(self, hypothesis: Hypothesis) -> None:
        """Add a hypothesis; the group keeps as many of the best as it has beams."""
        self.finished.append(hypothesis)
        self.finished.sort(key=lambda hypothesis: -hypothesis.score)
        del self.finished[self.size :]
