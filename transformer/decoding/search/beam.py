"""Beam search over a step function: plain, or diverse in groups.

Shape suffixes: N requests, G groups of a request, K beams of a group, R rows of the stepper (all
beams of all requests), C candidates, F candidates that finish a hypothesis, V vocabulary.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from msgspec import Meta
from torch import Tensor

from ...errors import ConfigError
from ...kernels import blockwise_top_k
from ..logits.processors import LogitsProcessorList
from ..request import Event, Request, RequestFinished
from ..steppers.stepper import Stepper
from .beam_group import NEG_INF, Group
from .beam_rows import BeamRows, Candidates, RowStates
from .parameters import RowCount, SearchParameters
from .tokenwise import check_log_probs, to_host


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
        self._end_ids = torch.tensor(sorted(parameters.end_ids), dtype=torch.long)
        self._num_candidates = self._group_size * max(1, len(parameters.end_ids)) + self.width
        self._process = LogitsProcessorList(parameters.processors, parameters.end_ids)
        self._beams = BeamRows(self.width)
        self._groups: dict[Request, list[Group]] = {}

    @property
    def requests(self) -> list[Request]:
        """See Search."""
        return list(self._groups)

    def add(self, requests: Sequence[Request]) -> None:
        """See Search. All beams are alike at first, so only one of each group counts."""
        first = [0.0, *[NEG_INF] * (self._group_size - 1)]
        self._beams.append(requests, first * self._parameters.groups)
        for request in requests:
            groups = range(self._parameters.groups)
            self._groups[request] = [Group(self._group_size) for _ in groups]

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search."""
        chosen: list[Candidates] = []
        for candidates in self._candidates(stepper.step(self._beams.tokens_RT[:, -1])):
            chosen.append(self._advance_groups(candidates, chosen))
        columns = zip(*chosen, strict=True)
        beams = Candidates(*(torch.cat(parts, dim=1).flatten() for parts in columns))
        self._beams.advance(beams)
        done = self._close_groups()
        kept_rows = self._beams.drop(done)
        stepper.reorder(beams.parent_rows[kept_rows].tolist(), self.width)
        return [self._finish_request(request) for request in done]

    def remove(self, requests: Collection[Request], stepper: Stepper) -> None:
        """See Search."""
        for request in requests:
            self._groups.pop(request, None)
        stepper.reorder(self._beams.drop(requests), self.width)

    def _candidates(self, logits_RV: Tensor) -> list[Candidates]:
        """Return the candidates of each request's first group, second group and so on.

        There are as many as can be needed when beams end, with each of the end tokens, or take
        tokens that other groups have taken.
        """
        count = self._num_candidates
        log_probs_RV = logits_RV.log_softmax(dim=-1)
        processed_RV = self._apply_processors(log_probs_RV)
        processed_RC, tokens_RC = blockwise_top_k(processed_RV, count)
        log_probs_RC = log_probs_RV.gather(1, tokens_RC)
        scores_RC = self._beams.scores_R.to(log_probs_RC)[:, None] + processed_RC
        per_beam = scores_RC.size(1)
        by_group = (len(scores_RC) // self._group_size, -1)
        # Stable, for the order of equals must not depend on how many are asked for.
        scores, indices = scores_RC.view(by_group).sort(dim=1, descending=True, stable=True)
        scores, indices = scores[:, :count], indices[:, :count]
        tokens, log_probs = (
            part.view(by_group).gather(1, indices) for part in (tokens_RC, log_probs_RC)
        )
        columns = to_host(scores, indices // per_beam, tokens, log_probs)
        scores, beams, tokens, log_probs = columns
        check_log_probs(log_probs)
        rows = beams.long() + torch.arange(0, len(logits_RV), self._group_size)[:, None]
        candidates = Candidates(scores, rows, tokens.long(), log_probs)
        size = (-1, self._parameters.groups, scores.size(1))
        parts = (part.reshape(size).unbind(dim=1) for part in candidates)
        return [Candidates(*columns) for columns in zip(*parts, strict=True)]

    def _apply_processors(self, log_probs_RV: Tensor) -> Tensor:
        return self._process(log_probs_RV, RowStates(self._beams), self._groups)

    def _advance_groups(self, candidates: Candidates, earlier: Sequence[Candidates]) -> Candidates:
        """Return the new beams (N, K) of one group of each request, and add what finishes.

        `earlier` are the new beams of each group before it.
        """
        if earlier and self._parameters.diversity:
            candidates = self._apply_diversity(candidates, earlier)
        last_N = self._beams.lengths_N + 1 >= self._beams.limits_N
        ended_NC = torch.isin(candidates.tokens, self._end_ids) | last_N[:, None]
        possible_NC = candidates.scores > NEG_INF
        live_NC, finished_NC = possible_NC & ~ended_NC, possible_NC & ended_NC
        finished_NC[:, self._group_size :] = False
        chosen_NK = (~live_NC).byte().argsort(dim=1, stable=True)[:, : self._group_size]
        counts_N = live_NC.sum(dim=1)
        for number, finished, chosen in self._select_singly(len(earlier), candidates):
            finished_NC[number, finished] = True
            chosen_NK[number, : len(chosen)] = torch.tensor(chosen, dtype=torch.long)
            counts_N[number] = len(chosen)
        self._add_finished(len(earlier), candidates, finished_NC)
        beams = candidates.gather(chosen_NK)
        missing_NK = torch.arange(self._group_size) >= counts_N[:, None]
        return beams._replace(scores=beams.scores.masked_fill(missing_NK, NEG_INF))

    def _apply_diversity(self, candidates: Candidates, earlier: Sequence[Candidates]) -> Candidates:
        """Return the candidates, penalised for tokens that earlier groups have taken in this step.

        Groups that are done, and beams that do not exist, take none.
        """
        taken_NJ = torch.cat([beams.tokens for beams in earlier], dim=1)
        exists_NJ = torch.cat([beams.scores for beams in earlier], dim=1) > NEG_INF
        same_NCJ = candidates.tokens[:, :, None] == taken_NJ[:, None]
        counts_NC = (same_NCJ & exists_NJ[:, None]).sum(dim=2).double()
        return candidates.rank(candidates.scores - self._parameters.diversity * counts_NC)

    def _select_singly(
        self, index: int, candidates: Candidates
    ) -> Iterator[tuple[int, list[int], list[int]]]:
        """Yield (request, candidates that finish, new beams) where `stop` decides."""
        best = self._beams.scores_R[index * self._group_size :: self.width].tolist()
        groups = {
            number: request_groups[index]
            for number, (request, request_groups) in enumerate(self._groups.items())
            if request.stop is not None and best[number] > NEG_INF
        }
        if not groups:
            return
        numbers = torch.tensor(list(groups))
        first_row_N1 = numbers[:, None] * self.width + index * self._group_size
        states = self._beams.states((first_row_N1 + torch.arange(self._group_size)).flatten())
        columns = zip(*(part[numbers].tolist() for part in candidates[:3]), strict=True)
        for (number, group), of_group in zip(groups.items(), columns, strict=True):
            group_states, states = states[: self._group_size], states[self._group_size :]
            yield number, *group.select(group_states, zip(*of_group, strict=True), self._parameters)

    def _add_finished(self, index: int, candidates: Candidates, finished_NC: Tensor) -> None:
        """Add hypotheses to one group of each request, which keeps the best K."""
        if not finished_NC.any():
            return
        ending = Candidates(*(part[finished_NC] for part in candidates))
        columns = zip(
            self._beams.states(ending.parent_rows),
            self._beams.log_probs(ending.parent_rows),
            *(part.tolist() for part in (ending.scores, ending.tokens, ending.log_probs)),
            strict=True,
        )
        for parent, earlier, score, token, log_prob in columns:
            state = parent.extend(token)
            reason = self._parameters.finish_reason(state)
            assert reason is not None
            log_probs = [*earlier, log_prob]
            hypothesis = self._parameters.hypothesis(state.generated_ids, score, log_probs, reason)
            self._groups[parent.request][index].add_finished(hypothesis)

    def _close_groups(self) -> list[Request]:
        """Close groups that are done; return the requests of which no group is left."""
        scores_NGK = self._beams.scores_R.view(-1, self._parameters.groups, self._group_size)
        best, lengths = scores_NGK.amax(dim=2).tolist(), self._beams.lengths_N.tolist()
        for number, (request, groups) in enumerate(self._groups.items()):
            for index, group in enumerate(groups):
                if self._is_done(group, request, best[number][index], lengths[number]):
                    scores_NGK[number, index] = NEG_INF
        open_N = (scores_NGK > NEG_INF).flatten(1).any(dim=1).tolist()
        return [
            request for request, is_open in zip(self._groups, open_N, strict=True) if not is_open
        ]

    def _is_done(self, group: Group, request: Request, best_score: float, length: int) -> bool:
        """Return True if no live beam can beat the group's worst finished hypothesis."""
        if len(group.finished) < group.size:
            return False
        early_stopping = self._parameters.early_stopping
        assume_longest = early_stopping == "never" and self._parameters.length_penalty > 0
        length = request.max_new_tokens if assume_longest else length
        bound = self._parameters.score(best_score, length)
        return early_stopping is True or bound <= group.finished[-1].score

    def _finish_request(self, request: Request) -> RequestFinished:
        """Remove a request, and return its best hypotheses."""
        hypotheses = [h for group in self._groups.pop(request) for h in group.finished]
        hypotheses.sort(key=lambda hypothesis: -hypothesis.score)
        return RequestFinished(request, hypotheses[: self._parameters.n_best])
