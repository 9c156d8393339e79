"""Step functions that are tables of probabilities: exact answers, no weights."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

END = 0
Distribution = Mapping[int, float]


class TableStepper:
    """`p(next | tokens so far)` by a function of the tokens; the first token is left out."""

    def __init__(self, table: Callable[[tuple[int, ...]], Distribution], *, rows: int, size: int):
        self.table, self.size = table, size
        self.written: list[tuple[int, ...]] | None = None
        self.rows = rows
        self.steps = 0

    def step(self, ids_R: Tensor) -> Tensor:
        ids = ids_R.tolist()
        if self.written is None:
            self.written = [() for _ in ids]
        else:
            self.written = [(*w, i) for w, i in zip(self.written, ids, strict=True)]
        self.steps += 1
        logits_RV = torch.full((len(ids), self.size), float("-inf"))
        for row, tokens in enumerate(self.written):
            for token, probability in self.table(tokens).items():
                logits_RV[row, token] = math.log(probability)
        return logits_RV

    def reorder(self, rows_R: Tensor) -> None:
        if self.written is not None:
            self.written = [self.written[row] for row in rows_R.tolist()]


def tree(branches: Mapping[tuple[int, ...], Distribution]) -> Callable[..., Distribution]:
    """The branches that are written down; after any other tokens the text ends."""
    return lambda tokens: branches.get(tokens, {END: 1.0})
