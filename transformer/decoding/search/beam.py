"""Beam search over a step function: plain, in groups that avoid each other, with words to include.

Shape suffixes: R rows of the stepper (texts × groups × beams of a group), C candidates, V
vocabulary.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from ..constraints.phrase_coverage import PhraseCoverage, phrase_tokens
from ..logits.processors import LogitsProcessorList
from ..request import (
    Event,
    FinishReason,
    Hypothesis,
    Request,
    RequestFinished,
    SearchOptions,
    SequenceState,
)
from ..steppers.stepper import Stepper
from .tokenwise import check_log_probs, next_ids, to_host
from .topk import blockwise_top_k

_NEVER = float("-inf")


class Beam(NamedTuple):
    """A text that is growing."""

    state: SequenceState
    log_probabilities: list[float]  # under the model
    score: float  # what it is ranked by; -inf for a beam that does not exist
    coverage: PhraseCoverage | None  # of the phrases that it must hold; None: it need not hold any

    def advance(self, candidate: "Candidate", *, ended: bool) -> "Beam":
        """With a token more; one that ends a text is no part of any phrase."""
        row = self.state._replace(generated_ids=[*self.state.generated_ids, candidate.token])
        gains, coverage = [*self.log_probabilities, candidate.log_probability], self.coverage
        if coverage is not None and not ended:
            coverage = coverage.advance(candidate.token)
        return Beam(row, gains, candidate.score, coverage)

    @property
    def complete(self) -> bool:
        """Whether it holds all phrases that it must hold."""
        return self.coverage is None or self.coverage.done

    @property
    def infeasible(self) -> bool:
        """Whether there is no room left for its phrases."""
        room = self.state.request.max_new_tokens - len(self.state.generated_ids)
        return self.coverage is not None and self.coverage.missing > room


class Candidate(NamedTuple):
    """One way in which a beam may go on."""

    score: float
    parent: int  # a beam of the group
    token: int
    log_probability: float


@dataclass
class Group:
    """Beams that compete with one another, best first, and what has ended of them."""

    beams: list[Beam]
    finished: list[Hypothesis] = field(default_factory=list)
    open: bool = True


class BeamSearch:
    """The `n_best` best hypotheses of each text, best first.

    A group of K beams is done when K hypotheses have ended and no growing beam can score better
    than the worst of them, as `early_stopping` has it: False looks at how the best would score if
    it ended at its present length, "never" at the best score that its log-probability can still
    give, up to the limit; True does not look. Processors change what beams are ranked by, and what
    is left is not normalised again. All of this is Hugging Face's definition; groups are those of
    diverse beam search with Hamming diversity, arXiv 1610.02424.
    """

    reads_states = False

    def __init__(self, options: SearchOptions) -> None:
        self.width = max(options.beam, options.n_best)
        self._options, self._each = options, self.width // options.groups
        self._process = LogitsProcessorList(options.processors, options.end)
        self._texts: dict[Request, list[Group]] = {}

    @property
    def requests(self) -> list[Request]:
        """See Search."""
        return list(self._texts)

    def add(self, tasks: Sequence[Request]) -> None:
        """See Search. All beams are alike at first, so only one of each group counts."""
        for task in tasks:
            first = Beam(SequenceState(task, []), [], 0.0, PhraseCoverage.begin(task.phrases))
            beams = [first, *[first._replace(score=_NEVER)] * (self._each - 1)]
            self._texts[task] = [Group(beams) for _ in range(self._options.groups)]

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search."""
        groups = [group for text in self._texts.values() for group in text]
        rows = [beam.state for group in groups for beam in group.beams]
        candidates = self._candidates(stepper.step(next_ids(rows)), groups, rows)
        kept: list[int] = []
        done: list[Event] = []
        for number, (task, text) in enumerate(list(self._texts.items())):
            first, base = number * len(text), number * self.width
            found = candidates[first : first + len(text)]
            parents = [self._advance_group(text, place, found[place]) for place in range(len(text))]
            if any(group.open for group in text):
                for place, some in enumerate(parents):
                    kept += [base + place * self._each + parent for parent in some]
            else:
                done.append(self._finish(task))
        stepper.reorder(kept, self.width)
        return done

    def _candidates(
        self, logits_RV: Tensor, groups: Sequence[Group], rows: Sequence[SequenceState]
    ) -> list[list[Candidate]]:
        """Each group's continuations, best first: as many as can be needed when all but one beam
        end or take what other groups have taken; where phrases must occur, all that there are."""
        count = self._each + self.width
        gains_RV = logits_RV.log_softmax(dim=-1)
        ranked_RV = self._process(gains_RV, rows)
        ranks_RC, tokens_RC = blockwise_top_k(ranked_RV, count)
        if (extra_RC := phrase_tokens([b.coverage for g in groups for b in g.beams])) is not None:
            extra_RC = extra_RC.to(tokens_RC.device)
            extra_RC = torch.where(extra_RC < 0, tokens_RC[:, :1], extra_RC)  # which is there
            tokens_RC = torch.cat([tokens_RC, extra_RC], dim=1)
            ranks_RC, count = ranked_RV.gather(1, tokens_RC), tokens_RC.size(1) * self._each
        gains_RC = gains_RV.gather(1, tokens_RC)
        sums_R1 = gains_RC.new_tensor([b.score for g in groups for b in g.beams])[:, None]
        sums_RC = sums_R1 + ranks_RC
        each, by_group = sums_RC.size(1), (len(groups), -1)
        best, places = sums_RC.view(by_group).topk(min(count, each * self._each))
        tokens, gains = (part.view(by_group).gather(1, places) for part in (tokens_RC, gains_RC))
        columns = to_host(best, places // each, tokens, gains)
        check_log_probs(columns[-1])
        found = columns.permute(1, 2, 0).tolist()  # groups, candidates, columns
        return [[Candidate(s, int(p), int(t), g) for s, p, t, g in some] for some in found]

    def _advance_group(
        self, text: list[Group], place: int, candidates: list[Candidate]
    ) -> list[int]:
        """Let a group go on by a token. Returns the beams from which its beams come."""
        group = text[place]
        if not group.open:
            return list(range(self._each))
        covering = group.beams[0].coverage is not None
        possible = dict.fromkeys(c for c in candidates if c.score > _NEVER)  # phrases repeat some
        candidates = list(islice(possible, None if covering else self._each + self.width))
        if place and self._options.diversity:
            candidates = self._apply_diversity(
                candidates, text[:place], len(group.beams[0].state.generated_ids)
            )
        going: list[tuple[Candidate, Beam]] = []
        rank = 0
        for candidate in candidates:
            beam = group.beams[candidate.parent]
            grown = beam.advance(candidate, ended=candidate.token in self._options.end)
            reason = self._options.finish_reason(grown.state)
            if reason is not None and grown.complete and rank < self._each:
                self._end(group, grown, reason)
            elif reason is None and not grown.infeasible:
                going.append((candidate, grown))
            rank += grown.complete  # what lacks a phrase is no rival of what may end
            if len(going) == self._each and not covering:
                break
        going = allocate_beams(going, self._each)
        parents = [candidate.parent for candidate, _ in going]
        dead = group.beams[0]._replace(score=_NEVER)
        missing = self._each - len(going)
        self._close_if_done(group, [beam for _, beam in going])
        group.beams = [beam for _, beam in going] + [dead] * missing
        return parents + [0] * missing

    def _apply_diversity(
        self, candidates: list[Candidate], others: list[Group], length: int
    ) -> list[Candidate]:
        """Candidates without what they lose by taking what other groups have taken just now:
        beams that are no longer than before ended earlier, or do not exist."""
        beams = [beam for other in others for beam in other.beams]
        taken = Counter(
            b.state.generated_ids[-1] for b in beams if len(b.state.generated_ids) > length
        )
        loss = self._options.diversity
        worse = [c._replace(score=c.score - loss * taken[c.token]) for c in candidates]
        return sorted(worse, key=lambda c: -c.score)

    def _end(self, group: Group, beam: Beam, reason: FinishReason) -> None:
        """Take a hypothesis into its group's list, which keeps the best K."""
        written, gains = beam.state.generated_ids, beam.log_probabilities
        group.finished.append(self._options.hypothesis(written, beam.score, gains, reason))
        group.finished.sort(key=lambda hypothesis: -hypothesis.score)
        del group.finished[self._each :]

    def _close_if_done(self, group: Group, going: Sequence[Beam]) -> None:
        """Whether the group can still improve."""
        if not going:
            group.open = False
        elif len(group.finished) == self._each:
            options, best = self._options, going[0]
            longest = options.early_stopping == "never" and options.length_penalty > 0
            length = best.state.request.max_new_tokens if longest else len(best.state.generated_ids)
            hoped = options.score(max(beam.score for beam in going), length)
            group.open = options.early_stopping is not True and hoped > group.finished[-1].score

    def _finish(self, task: Request) -> RequestFinished:
        found = [h for group in self._texts.pop(task) for h in group.finished]
        found.sort(key=lambda hypothesis: -hypothesis.score)
        return RequestFinished(task, found[: self._options.n_best])


def allocate_beams(
    going: Sequence[tuple[Candidate, Beam]], beams: int
) -> list[tuple[Candidate, Beam]]:
    """The beams to keep, best first: in turn the best of those that miss as many tokens of their
    phrases, so that some of each survive; without phrases simply the best."""
    banks: dict[int, list[tuple[Candidate, Beam]]] = {}
    for pair in going:
        coverage = pair[1].coverage
        banks.setdefault(coverage.missing if coverage else 0, []).append(pair)
    by_need = [banks[missing] for missing in sorted(banks)]
    in_turn = sorted(
        ((turn, need) for need, bank in enumerate(by_need) for turn in range(len(bank)))
    )
    chosen = [by_need[need][turn] for turn, need in in_turn[:beams]]
    return sorted(chosen, key=lambda pair: -pair[1].score)
