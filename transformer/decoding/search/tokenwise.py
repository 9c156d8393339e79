"""Searches that decide one token a step for each row: greedy search and sampling.

Shape suffixes: R rows being written, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from ...finite import require_finite
from ...registry import Registry
from ..keyed_random import exponential
from ..logits.processors import LogitsProcessorList
from ..request import (
    Event,
    FinishReason,
    Hypothesis,
    Request,
    RequestFinished,
    SearchOptions,
    SequenceState,
    TokenEvent,
)
from ..steppers.stepper import Reorderable, Stepper

Selector = Callable[[Tensor, Sequence[SequenceState], SearchOptions], Tensor]


def select_greedy(
    logits_RV: Tensor, rows: Sequence[SequenceState], options: SearchOptions
) -> Tensor:
    """The likeliest token; the lowest id among equals."""
    del rows, options
    return logits_RV.argmax(dim=-1)


def select_sample(
    logits_RV: Tensor, rows: Sequence[SequenceState], options: SearchOptions
) -> Tensor:
    """A token drawn with its probability: the first to happen where token v happens at rate p_v,
    after a time that (seed, line, position, v) alone say (the Gumbel-max trick).

    Inverting the cumulative distribution would need one number only, but each of its many steps
    moves with rounding: a line's text would depend on its batch in one of a thousand tokens. Here
    only two times that are almost equal can change places.
    """
    keys = [
        (options.seed, *row.request.rng_key, row.sample, len(row.generated_ids)) for row in rows
    ]
    times_RV = exponential(keys, logits_RV.size(1), logits_RV.device).log_()
    return (logits_RV.double() - times_RV).argmax(dim=-1)


SELECTORS: Registry[Selector] = Registry("pick", {"greedy": select_greedy, "sample": select_sample})


@dataclass
class ActiveSequence:
    """A row, and how likely what it wrote was."""

    state: SequenceState
    log_probabilities: list[float] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def append(self, token: int, log_probability: float, options: SearchOptions) -> TokenEvent:
        """Write a token."""
        self.state.generated_ids.append(token)
        self.log_probabilities.append(log_probability)
        self.finish_reason = options.finish_reason(self.state)
        return TokenEvent(
            self.state.request, self.state.sample, token, log_probability, self.finish_reason
        )

    def hypothesis(self, options: SearchOptions) -> Hypothesis:
        """The finished text."""
        assert self.finish_reason is not None
        own = self.log_probabilities[self.state.request.forced_first is not None :]
        return options.hypothesis(
            self.state.generated_ids, sum(own), self.log_probabilities, self.finish_reason
        )


class TokenwiseSearch:
    """Rows that are written side by side. Sampling writes `n_best` about each task."""

    reads_states = False

    def __init__(self, options: SearchOptions, selector: Selector) -> None:
        self.width = options.n_best
        self._options, self._pick = options, selector
        self._process = LogitsProcessorList(options.processors, options.end)
        self._texts: list[ActiveSequence] = []
        self._open: dict[Request, list[ActiveSequence]] = {}

    @property
    def requests(self) -> list[Request]:
        """See Search."""
        return list(self._open)

    def add(self, tasks: Sequence[Request]) -> None:
        """See Search."""
        for task in tasks:
            self._open[task] = [
                ActiveSequence(SequenceState(task, [], n)) for n in range(self.width)
            ]
            self._texts += self._open[task]

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search."""
        logits_RV = stepper.step(next_ids([text.state for text in self._texts]))
        events = [*self._write(self._texts, logits_RV), *self._finish()]
        self._leave(stepper)
        return events

    def _write(self, texts: Sequence[ActiveSequence], logits_RV: Tensor) -> list[Event]:
        """Write each text's next token, which these logits (R, V) are about."""
        rows = [text.state for text in texts]
        shaped_RV = self._process(logits_RV, rows)
        ids_R = self._pick(shaped_RV, rows, self._options)
        gains_R = logits_RV.log_softmax(dim=-1).gather(1, ids_R[:, None])[:, 0]
        unchanged = shaped_RV is logits_RV
        stuck_R = torch.zeros_like(ids_R) if unchanged else shaped_RV.amax(dim=-1).isneginf()
        ids, gains, stuck = to_host(ids_R, gains_R, stuck_R)
        check_log_probs(gains)
        events: list[Event] = []
        columns = zip(texts, ids.tolist(), gains.tolist(), stuck.tolist(), strict=True)
        for text, token, gain, no in columns:
            if no:
                text.finish_reason = "no_valid_token"
            else:
                events.append(text.append(int(token), gain, self._options))
        return events

    def _finish(self) -> list[Event]:
        done = [t for t, texts in self._open.items() if all(text.finish_reason for text in texts)]
        found: list[Event] = []
        for task in done:
            texts = [
                text for text in self._open.pop(task) if text.finish_reason != "no_valid_token"
            ]
            hypotheses = [text.hypothesis(self._options) for text in texts]
            found.append(RequestFinished(task, sorted(hypotheses, key=lambda h: -h.score)))
        return found

    def _leave(self, *followers: Reorderable) -> None:
        """Take finished rows out, here and of what follows them."""
        stay = compact_rows([text.finish_reason is None for text in self._texts])
        if len(stay) < len(self._texts):
            self._texts = [self._texts[place] for place in stay]
            copies = rows_per_request([text.state.request for text in self._texts])
            for follower in followers:
                follower.reorder(stay, copies)


def to_host(*columns: Tensor) -> Tensor:
    """Read columns of equal shape from their device, all at once, for a GPU is waited for each
    time. Float64 holds every id and every float32 as it is."""
    return torch.stack([column.double() for column in columns]).cpu()


def rows_per_request(tasks: Sequence[Request]) -> int:
    """Count the neighbouring rows about each text; 1 where texts differ in that.

    >>> one, two = Task(prompt=[1], limit=1), Task(prompt=[1], limit=1)
    >>> rows_per_text([one, one, two, two]), rows_per_text([one, one, two])
    (2, 1)
    """
    runs = {sum(1 for _ in run) for _, run in groupby(tasks, key=id)}
    return runs.pop() if len(runs) == 1 else 1


def check_log_probs(gains: Tensor) -> Tensor:
    """Log-probabilities, where they are numbers. Raises CheckpointError for NaN."""
    require_finite(gains.clamp(min=-1.0))  # -∞ is one: what a model never writes
    return gains


def next_ids(rows: Sequence[SequenceState]) -> Tensor:
    """What a stepper is to read next (R)."""
    return torch.tensor([row.last_id for row in rows])


def compact_rows(alive: Sequence[bool]) -> list[int]:
    """Where the rows that stay come from. The last ones fill the gaps that others leave, so that
    few are copied.

    >>> close_gaps([True, False, True, True])
    [0, 3, 2]
    """
    stay = [place for place, lives in enumerate(alive) if lives]
    moved = reversed(stay)  # there are as many behind the gaps as there are gaps
    return [place if alive[place] else next(moved) for place in range(len(stay))]
