"""The cache of kinds of attention that keep a state in place of keys and values."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ..buffers import gather_rows
from ..cache import no_tokens_back


class StateCache:
    """A cache of constant size: the state of each layer. It cannot forget single tokens.

    A state is tensors with a row for each text; `kind` is who has such states, in words.
    """

    def __init__(self, states: list[tuple[Tensor, ...]], *, kind: str) -> None:
        self.states, self._kind = states, kind

    def update(self, layer: int, state: tuple[Tensor, ...]) -> None:
        """Store one layer's state, in place."""
        for mine, new in zip(self.states[layer], state, strict=True):
            mine.copy_(new)

    def reorder(self, rows: Sequence[int], lengths: Sequence[int] | None = None) -> None:
        """See Cache."""
        del lengths
        if list(rows) == list(range(len(self.states[0][0]))):
            return
        rows_R = torch.tensor(rows, dtype=torch.long, device=self.states[0][0].device)
        self.states = [tuple(gather_rows(part, rows_R) for part in state) for state in self.states]

    def append_rows(self, other: Self) -> None:
        """See Cache."""
        self.states = [
            tuple(torch.cat(parts) for parts in zip(mine, theirs, strict=True))
            for mine, theirs in zip(self.states, other.states, strict=True)
        ]

    def truncate(self, length: int) -> None:
        """Raise ConfigError: a state does not tell one token from another."""
        raise no_tokens_back(self._kind)
