"""Searches that decide one token a step for each row: greedy search and sampling.

Shape suffixes: R rows being written, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from ...finite import finite
from ...registry import Table
from ..keyed_random import exponential
from ..logits.processors import Chain
from ..request import Event, Finished, Hypothesis, Reason, Row, SearchOptions, Task, Token
from ..steppers.stepper import Follower, Stepper

Pick = Callable[[Tensor, Sequence[Row], SearchOptions], Tensor]


def greedy_pick(logits_RV: Tensor, rows: Sequence[Row], options: SearchOptions) -> Tensor:
    """The likeliest token; the lowest id among equals."""
    del rows, options
    return logits_RV.argmax(dim=-1)


def sample_pick(logits_RV: Tensor, rows: Sequence[Row], options: SearchOptions) -> Tensor:
    """A token drawn with its probability: the first to happen where token v happens at rate p_v,
    after a time that (seed, line, position, v) alone say (the Gumbel-max trick).

    Inverting the cumulative distribution would need one number only, but each of its many steps
    moves with rounding: a line's text would depend on its batch in one of a thousand tokens. Here
    only two times that are almost equal can change places.
    """
    keys = [(options.seed, *row.task.keys, row.sample, len(row.written)) for row in rows]
    times_RV = exponential(keys, logits_RV.size(1), logits_RV.device).log_()
    return (logits_RV.double() - times_RV).argmax(dim=-1)


PICKS: Table[Pick] = Table("pick", {"greedy": greedy_pick, "sample": sample_pick})


@dataclass
class Text:
    """A row, and how likely what it wrote was."""

    row: Row
    log_probabilities: list[float] = field(default_factory=list)
    reason: Reason | None = None

    def take(self, token: int, log_probability: float, options: SearchOptions) -> Token:
        """Write a token."""
        self.row.written.append(token)
        self.log_probabilities.append(log_probability)
        self.reason = options.reason(self.row)
        return Token(self.row.task, self.row.sample, token, log_probability, self.reason)

    def hypothesis(self, options: SearchOptions) -> Hypothesis:
        """The finished text."""
        assert self.reason is not None
        own = self.log_probabilities[self.row.task.first is not None :]
        return options.hypothesis(self.row.written, sum(own), self.log_probabilities, self.reason)


class Writing:
    """Rows that are written side by side. Sampling writes `n_best` about each task."""

    reads_states = False

    def __init__(self, options: SearchOptions, pick: Pick) -> None:
        self.width = options.n_best
        self._options, self._pick = options, pick
        self._process = Chain(options.processors, options.end)
        self._texts: list[Text] = []
        self._open: dict[Task, list[Text]] = {}

    @property
    def tasks(self) -> list[Task]:
        """See Search."""
        return list(self._open)

    def add(self, tasks: Sequence[Task]) -> None:
        """See Search."""
        for task in tasks:
            self._open[task] = [Text(Row(task, [], n)) for n in range(self.width)]
            self._texts += self._open[task]

    def step(self, stepper: Stepper) -> list[Event]:
        """See Search."""
        logits_RV = stepper.step(next_ids([text.row for text in self._texts]))
        events = [*self._write(self._texts, logits_RV), *self._finish()]
        self._leave(stepper)
        return events

    def _write(self, texts: Sequence[Text], logits_RV: Tensor) -> list[Event]:
        """Write each text's next token, which these logits (R, V) are about."""
        rows = [text.row for text in texts]
        shaped_RV = self._process(logits_RV, rows)
        ids_R = self._pick(shaped_RV, rows, self._options)
        gains_R = logits_RV.log_softmax(dim=-1).gather(1, ids_R[:, None])[:, 0]
        unchanged = shaped_RV is logits_RV
        stuck_R = torch.zeros_like(ids_R) if unchanged else shaped_RV.amax(dim=-1).isneginf()
        ids, gains, stuck = to_host(ids_R, gains_R, stuck_R)
        numbers(gains)
        events: list[Event] = []
        columns = zip(texts, ids.tolist(), gains.tolist(), stuck.tolist(), strict=True)
        for text, token, gain, no in columns:
            if no:
                text.reason = "stuck"
            else:
                events.append(text.take(int(token), gain, self._options))
        return events

    def _finish(self) -> list[Event]:
        done = [t for t, texts in self._open.items() if all(text.reason for text in texts)]
        found: list[Event] = []
        for task in done:
            texts = [text for text in self._open.pop(task) if text.reason != "stuck"]
            hypotheses = [text.hypothesis(self._options) for text in texts]
            found.append(Finished(task, sorted(hypotheses, key=lambda h: -h.score)))
        return found

    def _leave(self, *followers: Follower) -> None:
        """Take finished rows out, here and of what follows them."""
        stay = close_gaps([text.reason is None for text in self._texts])
        if len(stay) < len(self._texts):
            self._texts = [self._texts[place] for place in stay]
            copies = rows_per_text([text.row.task for text in self._texts])
            for follower in followers:
                follower.reorder(stay, copies)


def to_host(*columns: Tensor) -> Tensor:
    """Read columns of equal shape from their device, all at once, for a GPU is waited for each
    time. Float64 holds every id and every float32 as it is."""
    return torch.stack([column.double() for column in columns]).cpu()


def rows_per_text(tasks: Sequence[Task]) -> int:
    """Count the neighbouring rows about each text; 1 where texts differ in that.

    >>> one, two = Task(prompt=[1], limit=1), Task(prompt=[1], limit=1)
    >>> rows_per_text([one, one, two, two]), rows_per_text([one, one, two])
    (2, 1)
    """
    runs = {sum(1 for _ in run) for _, run in groupby(tasks, key=id)}
    return runs.pop() if len(runs) == 1 else 1


def numbers(gains: Tensor) -> Tensor:
    """Log-probabilities, where they are numbers. Raises CheckpointError for NaN."""
    finite(gains.clamp(min=-1.0))  # -∞ is one: what a model never writes
    return gains


def next_ids(rows: Sequence[Row]) -> Tensor:
    """What a stepper is to read next (R)."""
    return torch.tensor([row.last for row in rows])


def close_gaps(alive: Sequence[bool]) -> list[int]:
    """Where the rows that stay come from. The last ones fill the gaps that others leave, so that
    few are copied.

    >>> close_gaps([True, False, True, True])
    [0, 3, 2]
    """
    stay = [place for place, lives in enumerate(alive) if lives]
    moved = reversed(stay)  # there are as many behind the gaps as there are gaps
    return [place if alive[place] else next(moved) for place in range(len(stay))]
