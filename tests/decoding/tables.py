"""Step functions that are tables of probabilities: exact answers, no weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from transformer.decoding import (
    SEARCHES,
    Engine,
    Hypothesis,
    Request,
    RequestFinished,
    Search,
    SearchParameters,
    Stepper,
)
from transformer.decoding.search.tokenwise import TokenwiseParameters

END = 0
Distribution = Mapping[int, float]
TOKENWISE = [name for name, kind in SEARCHES.items() if issubclass(kind, TokenwiseParameters)]


def parameters(
    name: str, *, end_ids: frozenset[int] = frozenset({END}), **fields: Any
) -> SearchParameters:
    """A search's parameters; beam search has one beam if nothing else is said."""
    needed = {"beam": 1} if name == "beam" else {}
    return SEARCHES[name](end_ids=end_ids, **{**needed, **fields})


def build(name: str, **fields: Any) -> Search:
    """A search with such parameters."""
    return parameters(name, **fields).build()


class TableStepper:
    """`p(next | tokens so far)` by a function of the tokens; the first token is left out."""

    def __init__(self, table: Callable[[tuple[int, ...]], Distribution], *, size: int):
        self.table, self.size = table, size
        self.written: list[tuple[int, ...] | None] = []
        self.steps = 0

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        self.written += [None] * (len(requests) * rows_per_entry)

    def step(self, ids_R: Tensor) -> Tensor:
        rows = zip(self.written, ids_R.tolist(), strict=True)
        self.written = [() if before is None else (*before, i) for before, i in rows]
        self.steps += 1
        logits_RV = torch.full((len(ids_R), self.size), float("-inf"))
        for row, tokens in enumerate(self.written):
            for token, probability in self.table(tokens).items():
                logits_RV[row, token] = math.log(probability)
        return logits_RV

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        assert len(rows) % rows_per_entry == 0
        self.written = [self.written[row] for row in rows]


def _unit(tokens: tuple[int, ...]) -> Sequence[float]:
    """Each token's own direction; the prompt's is the first."""
    return [float(place == (tokens[-1] if tokens else 0)) for place in range(4)]


class StateTable(TableStepper):
    """A table with hand-made states: a function of the tokens too."""

    def __init__(self, table, *, size: int, state: Callable[..., Sequence[float]] = _unit):
        super().__init__(table, size=size)
        self.state = state

    def hidden_states(self) -> tuple[Tensor, Tensor]:
        lengths = [len(tokens or ()) + 1 for tokens in self.written]
        width = len(self.state(()))
        states_RTD = torch.full(
            (len(lengths), max(lengths), width), 9.0
        )  # padding is not looked at
        for row, tokens in enumerate(self.written):
            for length in range(lengths[row]):
                states_RTD[row, length] = torch.tensor(self.state((tokens or ())[:length]))
        return states_RTD, torch.tensor(lengths)


STEPPERS = {"contrastive": StateTable}  # of searches that want more than a table


class RewindingTable(TableStepper):
    """A table that takes several tokens at once, and takes them back."""

    def extend(self, ids_RT: Tensor, counts: Sequence[int]) -> Tensor:
        rows, size = ids_RT.shape
        logits_RTV = torch.zeros(rows, size, self.size)
        self.steps += 1
        for place in range(size):
            for row in [row for row, count in enumerate(counts) if count > place]:
                before, token = self.written[row], int(ids_RT[row, place])
                self.written[row] = () if before is None else (*before, token)
                logits_RTV[row, place] = float("-inf")
                for following, probability in self.table(self.written[row]).items():
                    logits_RTV[row, place, following] = math.log(probability)
        return logits_RTV

    def rewind(self, counts: Sequence[int]) -> None:
        for row, count in enumerate(counts):
            tokens = self.written[row]
            assert count <= len(tokens or ())
            self.written[row] = tokens and tokens[: len(tokens) - count]


def trickle(
    stepper: Stepper, search: Search, tasks: Sequence[Request], *, most: int
) -> list[list[Hypothesis]]:
    """Each task's hypotheses, never more than `most` at a time, a new one every other step."""
    engine, waiting, found, steps = Engine(stepper, search), list(reversed(tasks)), {}, 0
    while waiting or search.requests:
        steps += 1
        if waiting and (not search.requests or (steps % 2 and len(search.requests) < most)):
            engine.admit([waiting.pop()])
        events = engine.step()
        found.update((e.request, e.hypotheses) for e in events if isinstance(e, RequestFinished))
    return [found[task] for task in tasks]


def tree(branches: Mapping[tuple[int, ...], Distribution]) -> Callable[..., Distribution]:
    """The branches that are written down; after any other tokens the text ends."""
    return lambda tokens: branches.get(tokens, {END: 1.0})
