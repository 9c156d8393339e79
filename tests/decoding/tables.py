"""Step functions that are tables of probabilities: exact answers, no weights."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from transformer.decoding import Task

END = 0
Distribution = Mapping[int, float]


class TableStepper:
    """`p(next | tokens so far)` by a function of the tokens; the first token is left out."""

    def __init__(self, table: Callable[[tuple[int, ...]], Distribution], *, size: int):
        self.table, self.size = table, size
        self.written: list[tuple[int, ...] | None] = []
        self.steps = 0

    def admit(self, tasks: Sequence[Task], copies: int = 1) -> None:
        self.written += [None] * (len(tasks) * copies)

    def step(self, ids_R: Tensor) -> Tensor:
        rows = zip(self.written, ids_R.tolist(), strict=True)
        self.written = [() if before is None else (*before, i) for before, i in rows]
        self.steps += 1
        logits_RV = torch.full((len(ids_R), self.size), float("-inf"))
        for row, tokens in enumerate(self.written):
            for token, probability in self.table(tokens).items():
                logits_RV[row, token] = math.log(probability)
        return logits_RV

    def reorder(self, rows_R: Tensor) -> None:
        self.written = [self.written[row] for row in rows_R.tolist()]


def tree(branches: Mapping[tuple[int, ...], Distribution]) -> Callable[..., Distribution]:
    """The branches that are written down; after any other tokens the text ends."""
    return lambda tokens: branches.get(tokens, {END: 1.0})
