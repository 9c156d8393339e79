"""Beam search over a step function: plain, diverse in groups, with phrases that must occur.

Shape suffixes: R rows of the stepper (requests × groups × beams of a group), C candidates, V
vocabulary.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from msgspec import Meta
from torch import Tensor

from ...errors import ConfigError
from ..constraints.phrase_coverage import PhraseCoverage, phrase_tokens
from ..logits.processors import LogitsProcessorList
from ..request import (
    Event,
    FinishReason,
    Hypothesis,
    Request,
    RequestFinished,
    SequenceState,
)
from ..steppers.stepper import Stepper
from .parameters import RowCount, SearchParameters
from .tokenwise import check_log_probs, next_ids, to_host
from .topk import blockwise_top_k

_NEG_INF = float("-inf")


class Beam(NamedTuple):
    """A sequence that is growing."""

    state: SequenceState
    log_probabilities: list[float]  # under the model
    score: float  # by which it is ranked; -inf for a beam that does not exist
    coverage: PhraseCoverage | None  # None: no phrases must occur

    def advance(self, candidate: "Candidate", *, ended: bool) -> "Beam":
        """Return the beam with one more token; a token that ends a text is no part of a phrase."""
        state = self.state._replace(generated_ids=[*self.state.generated_ids, candidate.token])
        log_probs, coverage = [*self.log_probabilities, candidate.log_probability], self.coverage
        if coverage is not None and not ended:
            coverage = coverage.advance(candidate.token)
        return Beam(state, log_probs, candidate.score, coverage)

    @property
    def complete(self) -> bool:
        """True if all phrases have occurred."""
        return self.coverage is None or self.coverage.done

    @property
    def infeasible(self) -> bool:
        """True if there is no room left for the missing phrases."""
        room = self.state.request.max_new_tokens - len(self.state.generated_ids)
        return self.coverage is not None and self.coverage.missing > room


class Candidate(NamedTuple):
    """One continuation of a beam."""

    score: float
    parent: int  # index of a beam of the group
    token: int
    log_probability: float


@dataclass
class Group:
    """Beams that compete with one another, best first, and their finished hypotheses."""

    beams: list[Beam]
    finished: list[Hypothesis] = field(default_factory=list)
    open: bool = True


@dataclass(frozen=True, kw_only=True)
class BeamParameters(SearchParameters):
    """Parameters of beam search."""

    name: ClassVar[str] = "beam"

    beam: RowCount
    n_best: RowCount = 1  # hypotheses of a request
    groups: Annotated[int, Meta(ge=1)] = 1  # of beams, which avoid each other's tokens
    # penalty for each earlier group's beam with the same token
    diversity: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    early_stopping: bool | Literal["never"] = False  # see BeamSearch

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beam % self.groups:
            raise ConfigError(
                f"{self.beam} beams do not divide into {self.groups} groups of equal size"
            )
        if self.n_best > self.beam:
            raise ConfigError(f"{self.beam} beams have no {self.n_best} best texts")

    @property
    def num_hypotheses(self) -> int:
        """See SearchParameters."""
        return self.n_best

    @property
    def can_stream(self) -> bool:
        """See SearchParameters."""
        return False

    def build(self) -> "BeamSearch":
        """See SearchParameters."""
        return BeamSearch(self)


class BeamSearch:
    """Beam search: the `n_best` best hypotheses of each request, best first.

    A group of K beams is done when K hypotheses have finished and no live beam can beat the worst
    of them, as `early_stopping` defines it: False takes the score that the best beam would have if
    it ended at its present length, "never" the best score that its log-probability still allows, up
    to max_new_tokens; True ends without a comparison. Processors change the scores by which beams
    are ranked, and these are not normalised again. All of this is Hugging Face's definition; groups
    are those of diverse beam search with Hamming diversity, arXiv 1610.02424.
    """

    reads_hidden_states = False

    def __init__(self, parameters: BeamParameters) -> None:
        self.width = parameters.beam
        self._parameters, self._group_size = parameters, self.width // parameters.groups
        self._process = LogitsProcessorList(parameters.processors, parameters.end_ids)
        self._groups: dict[Request, list[Group]] = {}

    @property
    def requests(self) -> list[Request]:
        """See Search."""
        return list(self._groups)

    def add(self, requests: Sequence[Request]) -> None:
        """See Search. All beams are alike at first, so only one of each group counts."""
        for request in requests:
            first = Beam(SequenceState(request, []), [], 0.0, PhraseCoverage.begin(request.phrases))
            beams = [first, *[first._replace(score=_NEG_INF)] * (self._group_size - 1)]
            self._groups[request] = [Group(beams) for _ in range(self._parameters.groups)]

    def remove(self, requests: Collection[Request], stepper: Stepper) -> None:
        """See Search."""
        kept = [n for n, request in enumerate(self._groups) if request not in requests]
        for request in requests:
            del self._groups[request]
        rows = range(self.width)
        stepper.reorder([n * self.width + row for n in kept for row in rows], self.width)

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search."""
        groups = [group for request_groups in self._groups.values() for group in request_groups]
        rows = [beam.state for group in groups for beam in group.beams]
        candidates = self._candidates(stepper.step(next_ids(rows)), groups, rows)
        parent_rows: list[int] = []
        events: list[Event] = []
        for number, (request, request_groups) in enumerate(list(self._groups.items())):
            first, base = number * len(request_groups), number * self.width
            group_candidates = candidates[first : first + len(request_groups)]
            parents = [
                self._advance_group(request_groups, index, group_candidates[index])
                for index in range(len(request_groups))
            ]
            if any(group.open for group in request_groups):
                for index, group_parents in enumerate(parents):
                    parent_rows += [
                        base + index * self._group_size + parent for parent in group_parents
                    ]
            else:
                events.append(self._finish_request(request))
        stepper.reorder(parent_rows, self.width)
        return events

    def _candidates(
        self, logits_RV: Tensor, groups: Sequence[Group], rows: Sequence[SequenceState]
    ) -> list[list[Candidate]]:
        """Return each group's candidates, best first.

        There are as many as can be needed when all but one beam end or take tokens that other
        groups have taken; where phrases must occur, all that there are.
        """
        count = self._group_size + self.width
        log_probs_RV = logits_RV.log_softmax(dim=-1)
        processed_RV = self._process(log_probs_RV, rows)
        processed_RC, tokens_RC = blockwise_top_k(processed_RV, count)
        if (extra_RC := phrase_tokens([b.coverage for g in groups for b in g.beams])) is not None:
            extra_RC = extra_RC.to(tokens_RC.device)
            extra_RC = torch.where(
                extra_RC < 0, tokens_RC[:, :1], extra_RC
            )  # padding repeats a token
            tokens_RC = torch.cat([tokens_RC, extra_RC], dim=1)
            processed_RC = processed_RV.gather(1, tokens_RC)
            count = tokens_RC.size(1) * self._group_size
        log_probs_RC = log_probs_RV.gather(1, tokens_RC)
        beam_scores_R = log_probs_RC.new_tensor([b.score for g in groups for b in g.beams])
        scores_RC = beam_scores_R[:, None] + processed_RC
        per_beam, by_group = scores_RC.size(1), (len(groups), -1)
        scores, indices = scores_RC.view(by_group).topk(min(count, per_beam * self._group_size))
        tokens, log_probs = (
            part.view(by_group).gather(1, indices) for part in (tokens_RC, log_probs_RC)
        )
        columns = to_host(scores, indices // per_beam, tokens, log_probs)
        check_log_probs(columns[-1])
        columns_by_group = columns.permute(1, 2, 0).tolist()  # groups, candidates, columns
        return [
            [Candidate(s, int(p), int(t), g) for s, p, t, g in rows] for rows in columns_by_group
        ]

    def _advance_group(
        self, groups: list[Group], index: int, candidates: list[Candidate]
    ) -> list[int]:
        """Advance a group by one token; return the parent of each of its new beams."""
        group = groups[index]
        if not group.open:
            return list(range(self._group_size))
        has_phrases = group.beams[0].coverage is not None
        distinct = dict.fromkeys(c for c in candidates if c.score > _NEG_INF)  # phrases repeat some
        candidates = list(islice(distinct, None if has_phrases else self._group_size + self.width))
        if index and self._parameters.diversity:
            candidates = self._apply_diversity(
                candidates, groups[:index], len(group.beams[0].state.generated_ids)
            )
        live: list[tuple[Candidate, Beam]] = []
        rank = 0
        for candidate in candidates:
            beam = group.beams[candidate.parent]
            extended = beam.advance(candidate, ended=candidate.token in self._parameters.end_ids)
            reason = self._parameters.finish_reason(extended.state)
            if reason is not None and extended.complete and rank < self._group_size:
                self._add_finished(group, extended, reason)
            elif reason is None and not extended.infeasible:
                live.append((candidate, extended))
            rank += extended.complete  # a beam that lacks a phrase cannot keep another from ending
            if len(live) == self._group_size and not has_phrases:
                break
        live = allocate_beams(live, self._group_size)
        parents = [candidate.parent for candidate, _ in live]
        dead = group.beams[0]._replace(score=_NEG_INF)
        missing = self._group_size - len(live)
        self._close_if_done(group, [beam for _, beam in live])
        group.beams = [beam for _, beam in live] + [dead] * missing
        return parents + [0] * missing

    def _apply_diversity(
        self, candidates: list[Candidate], earlier: list[Group], length: int
    ) -> list[Candidate]:
        """Return the candidates, penalised for tokens that earlier groups have taken in this step.

        Beams that are no longer than before ended earlier, or do not exist.
        """
        beams = [beam for group in earlier for beam in group.beams]
        taken = Counter(
            b.state.generated_ids[-1] for b in beams if len(b.state.generated_ids) > length
        )
        penalty = self._parameters.diversity
        penalized = [c._replace(score=c.score - penalty * taken[c.token]) for c in candidates]
        return sorted(penalized, key=lambda c: -c.score)

    def _add_finished(self, group: Group, beam: Beam, reason: FinishReason) -> None:
        """Add a hypothesis to its group, which keeps the best K."""
        ids, log_probs = beam.state.generated_ids, beam.log_probabilities
        group.finished.append(self._parameters.hypothesis(ids, beam.score, log_probs, reason))
        group.finished.sort(key=lambda hypothesis: -hypothesis.score)
        del group.finished[self._group_size :]

    def _close_if_done(self, group: Group, live: Sequence[Beam]) -> None:
        """Close the group if no live beam can beat its worst finished hypothesis."""
        if not live:
            group.open = False
        elif len(group.finished) == self._group_size:
            parameters, best = self._parameters, live[0].state
            assume_longest = parameters.early_stopping == "never" and parameters.length_penalty > 0
            length = best.request.max_new_tokens if assume_longest else len(best.generated_ids)
            bound = parameters.score(max(beam.score for beam in live), length)
            group.open = parameters.early_stopping is not True and bound > group.finished[-1].score

    def _finish_request(self, request: Request) -> RequestFinished:
        """Remove a request, and return its best hypotheses."""
        hypotheses = [h for group in self._groups.pop(request) for h in group.finished]
        hypotheses.sort(key=lambda hypothesis: -hypothesis.score)
        return RequestFinished(request, hypotheses[: self._parameters.n_best])


def allocate_beams(
    live: Sequence[tuple[Candidate, Beam]], beams: int
) -> list[tuple[Candidate, Beam]]:
    """Return the beams to keep, best first.

    They are in turn the best beam of each bank, which holds the beams that miss equally many tokens
    of their phrases, so that some of each survive; without phrases they are simply the best.
    """
    banks: dict[int, list[tuple[Candidate, Beam]]] = {}
    for pair in live:
        coverage = pair[1].coverage
        banks.setdefault(coverage.missing if coverage else 0, []).append(pair)
    ranked_banks = [banks[missing] for missing in sorted(banks)]
    round_robin = sorted(
        (
            (turn, bank_index)
            for bank_index, bank in enumerate(ranked_banks)
            for turn in range(len(bank))
        )
    )
    chosen = [ranked_banks[bank_index][turn] for turn, bank_index in round_robin[:beams]]
    return sorted(chosen, key=lambda pair: -pair[1].score)
