"""Searches: from a step function to texts. Greedy, sampling and beam, in a table.

Shape suffixes: R rows being written, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from checkpoints import CheckpointError

from ..tables import Table
from .beam import beam_search
from .hypothesis import Hypothesis, Row, SearchOptions
from .noise import uniform
from .processors import chain
from .stepper import Stepper

Pick = Callable[[Tensor, Sequence[Row]], Tensor]


class Token(NamedTuple):
    """One token of one text, as it is decided."""

    row: int  # the text's place among those given
    id: int
    log_probability: float  # under the model, before any processor
    last: bool


def tokens(
    stepper: Stepper, first_R: Tensor, limits: Sequence[int], options: SearchOptions, pick: Pick
) -> Iterator[Token]:
    """Write all rows side by side, one token each a step; the end token is among them.

    `limits` are the most tokens for each row. Finished rows leave the batch once they are a quarter
    of it, for removing them copies the cache.
    """
    rows = [
        Row(number, options.prompt(number, first), [], limit)
        for number, (first, limit) in enumerate(zip(first_R.tolist(), limits, strict=True))
    ]
    done: set[int] = set()
    ids_R = first_R
    for _ in range(max(limits)):
        logits_RV = stepper.step(ids_R)
        ids_R = pick(logits_RV, rows)
        log_probabilities = _chosen(logits_RV, ids_R)
        for row, token, log_probability in zip(
            rows, ids_R.tolist(), log_probabilities, strict=True
        ):
            row.written.append(token)
            if row.number in done:
                continue
            last = token in options.end or len(row.written) == row.limit
            if last:
                done.add(row.number)
            yield Token(row.number, token, log_probability, last)
        left = [place for place, row in enumerate(rows) if row.number not in done]
        if not left:
            return
        if 4 * len(left) <= 3 * len(rows):
            keep_R = torch.tensor(left, device=ids_R.device)
            stepper.reorder(keep_R)
            ids_R, rows = ids_R[keep_R], [rows[place] for place in left]


def _chosen(logits_RV: Tensor, ids_R: Tensor) -> list[float]:
    chosen_R = logits_RV.gather(1, ids_R[:, None])[:, 0] - logits_RV.logsumexp(dim=-1)
    listed: list[float] = chosen_R.tolist()
    return listed


def greedy_pick(options: SearchOptions) -> Pick:
    """The likeliest token; the lowest id among equals."""
    process = chain(options.processors)

    def pick(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        return (process(logits_RV, rows) if process else logits_RV).argmax(dim=-1)

    return pick


def sample_pick(options: SearchOptions) -> Pick:
    """A token drawn with its probability, by noise that depends on (seed, line, position) alone.

    The inverse of the cumulative distribution in float64: the noise of a line is the same in any
    batch, so its text is too.
    """
    process = chain(options.processors)

    def key(row: Row) -> int:
        return options.keys[row.number] if options.keys else row.number

    def pick(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        shaped_RV = process(logits_RV, rows) if process else logits_RV
        cumulative_RV = shaped_RV.double().softmax(dim=-1).cumsum(dim=-1)
        draws = [uniform(options.seed, key(row), len(row.written)) for row in rows]
        draws_R1 = torch.tensor(draws, dtype=torch.float64, device=logits_RV.device)[:, None]
        draws_R1 = draws_R1 * cumulative_RV[:, -1:]
        if not bool(cumulative_RV[:, -1].isfinite().all()):
            raise CheckpointError("the model's numbers overflow: no token has a probability")
        return torch.searchsorted(cumulative_RV, draws_R1, right=True)[:, 0]

    return pick


@dataclass
class _Writing:
    ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    finished: bool = False


def _collect(make_pick: Callable[[SearchOptions], Pick]) -> "Search":
    def search(
        stepper: Stepper, first_R: Tensor, limits: Sequence[int], options: SearchOptions
    ) -> list[list[Hypothesis]]:
        writing = [_Writing() for _ in limits]
        for token in tokens(stepper, first_R, limits, options, make_pick(options)):
            text = writing[token.row]
            text.log_probabilities.append(token.log_probability)
            text.finished = token.id in options.end
            if not text.finished:
                text.ids.append(token.id)
        return [
            [
                Hypothesis(
                    ids=text.ids,
                    score=options.score(sum(text.log_probabilities), len(text.log_probabilities)),
                    log_probabilities=text.log_probabilities,
                    finished=text.finished,
                )
            ]
            for text in writing
        ]

    return search


Search = Callable[[Stepper, Tensor, Sequence[int], SearchOptions], list[list[Hypothesis]]]

PICKS: Table[Callable[[SearchOptions], Pick]] = Table(
    "pick", {"greedy": greedy_pick, "sample": sample_pick}
)

SEARCHES: Table[Search] = Table(
    "search", {**{name: _collect(pick) for name, pick in PICKS.items()}, "beam": beam_search}
)


def deterministic_search(beams: int) -> str:
    """Which search a number of beams means, by its name in SEARCHES."""
    return "beam" if beams > 1 else "greedy"
