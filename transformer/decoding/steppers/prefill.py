"""Reading of prompts: in chunks, and what several begin with once.

Shape suffixes: B rows, T tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from ...buffers import in_blocks
from ...data import pad
from ...kernels import rounds_inputs
from ...masks import padded_positions
from ...model import Transformer
from ..request import Request
from .prefixes import Text, find_shared

# Tokens of a row that one forward pass reads. Measured on a CPU, 4 layers of 512: a prompt of
# 8,000 tokens takes 5.7 s, in one pass 8.8 s and 400 MiB more; 4 prompts of 1,024 a tenth less.
CHUNK = 256
# Where inputs are rounded. A prefix is then whole chunks: fewer tokens are left to each prompt.
# From 192 queries on torch's attention sums in another order, so that bits depend on neighbours.
ROUNDED_CHUNK = 64


class RowState(Protocol):
    """A decoder's state of rows that have read tokens."""

    def decode(self, ids_RT: Tensor, positions_RT: Tensor, longest: int) -> Tensor:
        """Read new tokens, with which the longest row has `longest`."""
        ...

    def reorder(self, rows: Sequence[int]) -> None:
        """Gather rows: row r becomes row `rows[r]`."""
        ...

    def append_rows(self, other: Self) -> None:
        """Append the rows of another."""
        ...


StateT = TypeVar("StateT", bound=RowState)


class Prefill(Generic[StateT]):
    """The reader of a stepper's prompts.

    A prompt is read in chunks, which are counted from its first token. Of a model without an
    encoder the state of one row is kept that has read a prefix, the last one that prompts had in
    common: those that begin with it copy that row. Texts whose early keys depend on their length
    (Positions.longest_in_parts) are read in one pass, each anew.
    """

    def __init__(self, model: Transformer) -> None:
        assert model.decoder is not None
        self._device, self._in_blocks = model.device, rounds_inputs(model)
        self._chunk = ROUNDED_CHUNK if self._in_blocks else CHUNK
        self._shares = not model.config.has_encoder
        self._longest_in_parts = model.decoder.groups.longest_in_parts
        self._prefix: Text = ()
        self._prefix_state: StateT | None = None
        self._last: Text = ()  # the last prompt, for one that is admitted alone to be compared with

    def read(
        self, requests: Sequence[Request], allocate: Callable[[Sequence[Request]], StateT]
    ) -> StateT:
        """Return the state of rows that have read the requests' prompts but their last tokens.

        `allocate` makes one with room for all tokens of requests, which has read none.
        """
        texts = [tuple(request.prompt[:-1]) for request in requests]
        limit = self._longest_in_parts
        whole = [row for row, text in enumerate(texts) if limit is not None and len(text) > limit]
        in_parts = {row: text for row, text in enumerate(texts) if row not in whole}
        sharing = self._share(in_parts, allocate)
        alone = [row for row in in_parts if row not in sharing]
        readers = (self._read_whole, self._read_chunks, self._read_rest)
        groups = (whole, alone, sharing)
        states = []
        for reader, rows in zip(readers, groups, strict=True):
            if rows:
                state = allocate([requests[row] for row in rows])
                reader(state, [texts[row] for row in rows])
                states.append(state)
        return _join(states, [row for rows in groups for row in rows])

    def _share(
        self, texts: Mapping[int, Text], allocate: Callable[[Sequence[Request]], StateT]
    ) -> list[int]:
        """Return the rows of texts that share a prefix, once the kept state is that prefix's."""
        if not self._shares or not texts:
            return []
        unit = self._chunk if self._in_blocks else 1
        prefix, rows = find_shared(texts, (self._prefix, self._last), unit)
        *_, self._last = texts.values()
        if rows and prefix != self._prefix:
            self._prefix, self._prefix_state = (), None  # makes room
            state = allocate([Request(prompt=(*prefix, 0), max_new_tokens=0)])
            self._read_chunks(state, [prefix])
            self._prefix, self._prefix_state = prefix, state
        return rows

    def _read_rest(self, state: StateT, texts: Sequence[Text]) -> None:
        """Copy the prefix into each row, and read what texts have behind it."""
        assert self._prefix_state is not None
        state.reorder([])
        state.append_rows(self._prefix_state)
        state.reorder([0] * len(texts))
        self._read_chunks(state, texts, len(self._prefix))

    def _read_chunks(self, state: StateT, texts: Sequence[Text], begin: int = 0) -> None:
        """Read texts from position `begin` on."""
        longest = max(map(len, texts))
        while begin < longest:
            end = min(begin + self._chunk - begin % self._chunk, longest)
            self._read_part(state, texts, begin, end)
            begin = end

    def _read_whole(self, state: StateT, texts: Sequence[Text]) -> None:
        self._read_part(state, texts, 0, max(map(len, texts)))

    def _read_part(self, state: StateT, texts: Sequence[Text], begin: int, end: int) -> None:
        """Read positions from `begin` up to `end`; rows of shorter texts have padding.

        Where inputs are rounded, in whole blocks: no text depends then on how long others are.
        """
        size = in_blocks(end - begin) if self._in_blocks and end > 1 else end - begin
        parts = [text[begin:end] for text in texts]
        lengths_B = torch.tensor([len(part) for part in parts], device=self._device)
        positions_BT = padded_positions(lengths_B, size)
        positions_BT = torch.where(positions_BT < 0, -1, positions_BT + begin)
        state.decode(pad(parts, 0, size=size).to(self._device), positions_BT, self.room(end))

    def room(self, tokens: int) -> int:
        """Return the slots of a cache that are read with the last of a prompt's so many tokens.

        Where inputs are rounded, whole chunks: a CPU's sums over more than 192 keys depend on
        their number, hidden ones included.
        """
        if not self._in_blocks or tokens <= 1:
            return tokens
        return -(-tokens // self._chunk) * self._chunk


def _join(states: Sequence[StateT], rows: Sequence[int]) -> StateT:
    """Return the rows of all states as one state, in the order of their numbers."""
    joined, *others = states
    for other in others:
        joined.append_rows(other)
    order = sorted(range(len(rows)), key=lambda place: rows[place])
    if order != list(range(len(rows))):
        joined.reorder(order)
    return joined
