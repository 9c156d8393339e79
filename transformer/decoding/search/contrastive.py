"""Contrastive search: likely tokens that are unlike the earlier ones; arXiv 2202.06417.

Shape suffixes: B requests, K candidates of each, R rows of the stepper (requests × candidates), T
tokens, D d_model, V vocabulary.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError
from ..logits.processors import LogitsProcessorList
from ..request import Event, Request, RequestFinished, SequenceState
from ..steppers.stepper import HiddenStateStepper, Stepper
from .parameters import SearchParameters
from .tokenwise import ActiveSequence, check_log_probs, to_host

_NEG_INF = float("-inf")


@dataclass
class _CandidateSet:
    """A sequence, and the candidates for its next token: none before its prompt is read."""

    sequence: ActiveSequence
    tokens: list[int] = field(default_factory=list)
    probs: list[float] = field(default_factory=list)  # after the processors
    log_probabilities: list[float] = field(default_factory=list)  # under the model


@dataclass(frozen=True, kw_only=True)
class ContrastiveParameters(SearchParameters):
    """Parameters of contrastive search."""

    name: ClassVar[str] = "contrastive"

    penalty: Annotated[float, Meta(ge=0, le=1)] = 0.6  # α: weight of the similarity
    candidates: Annotated[int, Meta(ge=1)] = 4  # k

    def build(self) -> "ContrastiveSearch":
        """See SearchParameters."""
        return ContrastiveSearch(self)


class ContrastiveSearch:
    """`argmax (1-α)·p(v) - α·max_j cos(h_v, h_j)` over the k likeliest tokens v; equation 5.

    h_j are the last layer's hidden states of all tokens so far, the prompt's (or start token's)
    among them. Each request has k rows, each of which reads one candidate; then all become the
    selected one. So the first step reads the prompt's last token, and the last token generated is
    read too.
    """

    reads_hidden_states = True

    def __init__(self, parameters: "ContrastiveParameters") -> None:
        self.width = parameters.candidates
        self._parameters = parameters
        self._process = LogitsProcessorList(parameters.processors, parameters.end_ids)
        self._entries: dict[Request, _CandidateSet] = {}

    @property
    def requests(self) -> list[Request]:
        """See Search."""
        return list(self._entries)

    def add(self, requests: Sequence[Request]) -> None:
        """See Search."""
        for request in requests:
            self._entries[request] = _CandidateSet(ActiveSequence(SequenceState(request, [])))

    def remove(self, requests: Collection[Request], stepper: Stepper) -> None:
        """See Search."""
        offsets = range(self.width)
        kept = [n for n, request in enumerate(self._entries) if request not in requests]
        for request in requests:
            self._entries.pop(request, None)
        stepper.reorder([n * self.width + offset for n in kept for offset in offsets], self.width)

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search. Raises ConfigError for a stepper without hidden states."""
        if not isinstance(stepper, HiddenStateStepper):
            raise ConfigError(
                "contrastive search reads a model's hidden states, which several models together "
                "do not have; use one model, or another search"
            )
        entries = list(self._entries.values())
        input_ids = [
            entry.tokens or [entry.sequence.state.last_id] * self.width for entry in entries
        ]
        logits_RV = stepper.step(torch.tensor(input_ids).flatten())
        selected = self._select(entries, stepper)
        events: list[Event] = []
        for entry, index in zip(entries, selected, strict=True):
            if entry.tokens:
                log_prob = entry.log_probabilities[index]
                events.append(
                    entry.sequence.append(entry.tokens[index], log_prob, self._parameters)
                )
        rows = [base * self.width + index for base, index in enumerate(selected)]
        live = [
            index for index, entry in enumerate(entries) if entry.sequence.finish_reason is None
        ]
        if live:
            self._propose(
                [entries[index] for index in live],
                logits_RV[[rows[index] for index in live]],
            )
        events += self._pop_finished()
        kept_rows = [rows[index] for index in live if entries[index].sequence.finish_reason is None]
        stepper.reorder([row for row in kept_rows for _ in range(self.width)], self.width)
        return events

    def _select(self, entries: Sequence[_CandidateSet], stepper: HiddenStateStepper) -> list[int]:
        """Return the index of the candidate that each sequence takes; 0 where it has none."""
        similarity_BK = _max_similarity(*stepper.hidden_states(), self.width)
        no_probs = [0.0] * self.width
        probs_BK = similarity_BK.new_tensor([entry.probs or no_probs for entry in entries])
        penalty = self._parameters.penalty
        scores_BK = (1 - penalty) * probs_BK - penalty * similarity_BK
        selected: list[int] = scores_BK.masked_fill(probs_BK == 0, _NEG_INF).argmax(dim=1).tolist()
        return selected

    def _propose(self, entries: Sequence[_CandidateSet], logits_BV: Tensor) -> None:
        """Make the likeliest tokens of each sequence its candidates."""
        processed_BV = self._process(logits_BV, [entry.sequence.state for entry in entries])
        count = min(self.width, logits_BV.size(1))
        ids_BK = processed_BV.topk(count).indices
        probs_BK = processed_BV.softmax(dim=-1).gather(1, ids_BK)
        log_probs_BK = logits_BV.log_softmax(dim=-1).gather(1, ids_BK)
        blocked_BK = processed_BV.amax(dim=-1, keepdim=True).isneginf().expand_as(ids_BK)
        columns = to_host(blocked_BK, ids_BK, probs_BK, log_probs_BK)
        check_log_probs(columns[-1])
        padding = self.width - count  # where the vocabulary is smaller than k
        for entry, blocked, ids, probs, log_probs in zip(entries, *columns.tolist(), strict=True):
            if blocked[0]:
                entry.sequence.finish_reason = "no_valid_token"
            tokens = [int(token) for token in ids]
            entry.tokens = tokens + tokens[:1] * padding
            entry.probs = probs + [0.0] * padding
            entry.log_probabilities = log_probs

    def _pop_finished(self) -> list[Event]:
        """Remove the finished requests, and return their events."""
        finished = [
            request for request, entry in self._entries.items() if entry.sequence.finish_reason
        ]
        events: list[Event] = []
        for request in finished:
            sequence = self._entries.pop(request).sequence
            blocked = sequence.finish_reason == "no_valid_token"
            events.append(
                RequestFinished(request, [] if blocked else [sequence.hypothesis(self._parameters)])
            )
        return events


def _max_similarity(states_RTD: Tensor, lengths_R: Tensor, width: int) -> Tensor:
    """Return the largest cosine (B, K) of each row's newest state with the earlier ones.

    A request's rows have the earlier ones in common; -1 where there are none.
    """
    rows_R = torch.arange(len(states_RTD), device=states_RTD.device)
    newest_RD = F.normalize(states_RTD[rows_R, lengths_R - 1].float(), dim=-1)
    before_BTD = F.normalize(states_RTD[::width].float(), dim=-1)
    cosines_BKT = newest_RD.view(len(before_BTD), width, -1) @ before_BTD.transpose(1, 2)
    positions_T = torch.arange(states_RTD.size(1), device=states_RTD.device)
    later_B1T = positions_T >= lengths_R[::width, None, None] - 1
    return cosines_BKT.masked_fill(later_B1T, -1.0).amax(dim=-1)
