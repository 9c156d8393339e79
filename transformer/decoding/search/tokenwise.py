"""Searches that select one token a step for each row: greedy search and sampling.

Shape suffixes: R rows being generated, V vocabulary.
"""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import ClassVar

import torch
from torch import Tensor

from ...finite import require_finite
from ...kernels import blockwise_argmax
from ..keyed_random import exponential
from ..logits.processors import LogitsProcessorList
from ..request import (
    Event,
    FinishReason,
    Hypothesis,
    Request,
    RequestFinished,
    SequenceState,
    TokenEvent,
)
from ..steppers.stepper import Reorderable, Stepper
from .parameters import RowCount, SearchParameters


@dataclass
class ActiveSequence:
    """A sequence that is being generated, and its log-probabilities."""

    state: SequenceState
    log_probabilities: list[float] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def append(
        self, token: int, log_probability: float, parameters: SearchParameters
    ) -> TokenEvent:
        """Append a token, and return its event."""
        self.state.generated_ids.append(token)
        self.log_probabilities.append(log_probability)
        self.finish_reason = parameters.finish_reason(self.state)
        return TokenEvent(
            self.state.request, self.state.sample, token, log_probability, self.finish_reason
        )

    def hypothesis(self, parameters: SearchParameters) -> Hypothesis:
        """Return the finished text."""
        assert self.finish_reason is not None
        scored = self.log_probabilities[self.state.request.forced_first is not None :]
        return parameters.hypothesis(
            self.state.generated_ids, sum(scored), self.log_probabilities, self.finish_reason
        )


class TokenwiseSearch:
    """Rows that are generated side by side, one for each hypothesis of a request."""

    reads_hidden_states = False

    def __init__(self, parameters: "TokenwiseParameters") -> None:
        self.width = parameters.num_hypotheses
        self._parameters = parameters
        self._process = LogitsProcessorList(parameters.processors, parameters.end_ids)
        self._sequences: list[ActiveSequence] = []
        self._unfinished: dict[Request, list[ActiveSequence]] = {}

    @property
    def requests(self) -> list[Request]:
        """See Search."""
        return list(self._unfinished)

    def add(self, requests: Sequence[Request]) -> None:
        """See Search."""
        for request in requests:
            self._unfinished[request] = [
                ActiveSequence(SequenceState(request, [], n)) for n in range(self.width)
            ]
            self._sequences += self._unfinished[request]

    def remove(self, requests: Collection[Request], stepper: Stepper) -> None:
        """See Search."""
        for request in requests:
            for sequence in self._unfinished.pop(request, []):
                sequence.finish_reason = "cancelled"
        self._drop_finished(stepper)

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search."""
        logits_RV = stepper.step(next_ids([sequence.state for sequence in self._sequences]))
        events = [*self._append_tokens(self._sequences, logits_RV), *self._pop_finished()]
        self._drop_finished(stepper)
        return events

    def _append_tokens(self, sequences: Sequence[ActiveSequence], logits_RV: Tensor) -> list[Event]:
        """Append to each sequence a token selected from its logits (R, V)."""
        rows = [sequence.state for sequence in sequences]
        processed_RV = self._process(logits_RV, rows)
        ids_R = self._parameters.select(processed_RV, rows)
        log_probs_R = logits_RV.log_softmax(dim=-1).gather(1, ids_R[:, None])[:, 0]
        unchanged = processed_RV is logits_RV
        blocked_R = torch.zeros_like(ids_R) if unchanged else processed_RV.amax(dim=-1).isneginf()
        ids, log_probs, blocked = to_host(ids_R, log_probs_R, blocked_R)
        check_log_probs(log_probs)
        events: list[Event] = []
        columns = zip(sequences, ids.tolist(), log_probs.tolist(), blocked.tolist(), strict=True)
        for sequence, token, log_prob, is_blocked in columns:
            if is_blocked:
                sequence.finish_reason = "no_valid_token"
            else:
                events.append(sequence.append(int(token), log_prob, self._parameters))
        return events

    def _pop_finished(self) -> list[Event]:
        """Remove the requests whose sequences are all finished, and return their events."""
        done = [
            request
            for request, sequences in self._unfinished.items()
            if all(sequence.finish_reason for sequence in sequences)
        ]
        events: list[Event] = []
        for request in done:
            sequences = [
                sequence
                for sequence in self._unfinished.pop(request)
                if sequence.finish_reason != "no_valid_token"
            ]
            hypotheses = [sequence.hypothesis(self._parameters) for sequence in sequences]
            events.append(RequestFinished(request, sorted(hypotheses, key=lambda h: -h.score)))
        return events

    def _drop_finished(self, *others: Reorderable) -> None:
        """Drop finished rows, here and in all that have the same rows."""
        kept_rows = compact_rows([sequence.finish_reason is None for sequence in self._sequences])
        if len(kept_rows) < len(self._sequences):
            self._sequences = [self._sequences[row] for row in kept_rows]
            rows_per_entry = rows_per_request(
                [sequence.state.request for sequence in self._sequences]
            )
            for other in others:
                other.reorder(kept_rows, rows_per_entry)


def to_host(*columns: Tensor) -> Tensor:
    """Copy columns of equal shape to the CPU, all at once, since each copy waits for a GPU.

    Float64 holds every id and every float32 exactly.
    """
    return torch.stack([column.double() for column in columns]).cpu()


def rows_per_request(requests: Sequence[Request]) -> int:
    """Return the number of consecutive rows of each request; 1 where requests differ in it.

    >>> one, two = (Request(prompt=[1], max_new_tokens=1) for _ in range(2))
    >>> rows_per_request([one, one, two, two]), rows_per_request([one, one, two])
    (2, 1)
    """
    runs = {sum(1 for _ in run) for _, run in groupby(requests, key=id)}
    return runs.pop() if len(runs) == 1 else 1


def check_log_probs(log_probs: Tensor) -> Tensor:
    """Return the log-probabilities; raise CheckpointError if one is NaN."""
    require_finite(log_probs.clamp(min=-1.0))  # -∞ is allowed: a token that cannot come
    return log_probs


def next_ids(rows: Sequence[SequenceState]) -> Tensor:
    """Return the ids (R) that a stepper is to read next."""
    return torch.tensor([row.last_id for row in rows])


def compact_rows(alive: Sequence[bool]) -> list[int]:
    """Return for each row that is left the row that it comes from.

    The last rows fill the gaps, so that few are copied.

    >>> compact_rows([True, False, True, True])
    [0, 3, 2]
    """
    kept = [index for index, is_alive in enumerate(alive) if is_alive]
    from_end = reversed(kept)  # as many as there are gaps lie behind the new end
    return [index if alive[index] else next(from_end) for index in range(len(kept))]


@dataclass(frozen=True, kw_only=True)
class TokenwiseParameters(SearchParameters):
    """Parameters of a search that selects one token a step for each row."""

    @abstractmethod
    def select(self, logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        """Return a token (R) of each row, from its processed logits."""

    def build(self) -> TokenwiseSearch:
        """See SearchParameters."""
        return TokenwiseSearch(self)


@dataclass(frozen=True, kw_only=True)
class GreedyParameters(TokenwiseParameters):
    """Parameters of greedy search."""

    name: ClassVar[str] = "greedy"

    def select(self, logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        """Return the likeliest token of each row; of equally likely ones the lowest id."""
        del rows
        return blockwise_argmax(logits_RV)


@dataclass(frozen=True, kw_only=True)
class SamplingParameters(TokenwiseParameters):
    """Parameters of sampling; processors shape its distribution."""

    name: ClassVar[str] = "sample"

    samples: RowCount = 1  # hypotheses of a request

    @property
    def num_hypotheses(self) -> int:
        """See SearchParameters."""
        return self.samples

    def select(self, logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        """Sample a token of each row from its distribution with the Gumbel-max trick.

        The sample is the first event to happen where token v happens at rate p_v, at a time that
        depends on (seed, rng_key, sample, position, v) alone.

        Inverting the cumulative distribution would need only one random number, but each of its
        many sums is rounded: a text would depend on its batch in one of a thousand tokens. Here
        only two almost equal times can change places.
        """
        keys = [
            (row.request.seed, *row.request.rng_key, row.sample, len(row.generated_ids))
            for row in rows
        ]
        times_RV = exponential(keys, logits_RV.size(1), logits_RV.device).log_()
        return (logits_RV.double() - times_RV).argmax(dim=-1)
