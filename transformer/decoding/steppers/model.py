"""A Transformer as a step function, with its cache.

Shape suffixes: R rows (texts being written), V vocabulary, T tokens, D d_model.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...data import pad
from ...masks import padded_positions
from ...model import DecoderCache, Transformer
from ..request import Request
from .hidden_states import HiddenStates


class _Rows:
    """What a model remembers of rows: its cache, and the states where they are asked for."""

    def __init__(
        self, model: Transformer, cache: DecoderCache, states: HiddenStates | None
    ) -> None:
        self.model, self.cache, self.states = model, cache, states

    def read(self, ids_RT: Tensor, positions_RT: Tensor, longest: int) -> Tensor:
        """The states (R, T, D) of new tokens, with which the longest row has `longest`."""
        if self.states is None:
            return self.model.decode(ids_RT, positions_RT, self.cache, longest)
        # A candidate for the last token of a text that fills the context has no position of its
        # own: it is read at the last one.
        within_RT = positions_RT.clamp(max=self.model.config.max_positions - 1)
        hidden_RTD = self.model.decode(ids_RT, within_RT, self.cache, longest)
        self.states.write(positions_RT, hidden_RTD, longest)
        return hidden_RTD

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """See Follower."""
        self.cache.reorder(rows, copies)
        if self.states is not None:
            self.states.reorder(rows)

    def truncate(self, length: int) -> None:
        """No row is longer than this now."""
        self.cache.self_attention.truncate(length)
        if self.states is not None:
            self.states.truncate(length)

    def append_rows(self, other: "_Rows") -> None:
        """Take in the rows of another, after those that are here."""
        self.cache.append_rows(other.cache)
        if self.states is not None and other.states is not None:
            self.states.append_rows(other.states)


class ModelStepper:
    """A Transformer's decoder with its cache. A StateStepper where states are kept, a
    RewindingStepper where the cache can take back, as all but a sliding window's can."""

    def __init__(self, model: Transformer, *, keep_states: bool = False) -> None:
        self._model, self._keep = model, keep_states
        self._device = model.device
        self._memory: _Rows | None = None
        self._lengths: list[int] = []  # tokens that each row has read

    def admit(self, tasks: Sequence[Request], copies: int = 1) -> None:
        """See Stepper. Encodes sources and reads prompts."""
        lengths = [len(task.prompt) - 1 for task in tasks]
        memory = self._begin(tasks)
        if longest := max(lengths):
            ids_BT = pad([task.prompt[:-1] for task in tasks], 0).to(self._device)
            memory.read(ids_BT, padded_positions(self._tensor(lengths), longest), longest)
        rows = [row for row in range(len(tasks)) for _ in range(copies)]
        if copies > 1:
            memory.reorder(rows, copies)
        if self._memory is None:
            self._memory = memory
        else:
            self._memory.append_rows(memory)
        self._lengths += [lengths[row] for row in rows]

    def _begin(self, tasks: Sequence[Request]) -> _Rows:
        """Room for all that tasks' rows will read; those with states read their last token too."""
        rows, size = len(tasks), max(len(task.prompt) - 1 + task.max_new_tokens for task in tasks)
        if not self._keep:
            cache = self._model.new_cache(rows, size, **self._sources(tasks))
            return _Rows(self._model, cache, None)
        cache = self._model.new_cache(rows, size + 1, **self._sources(tasks))
        states = HiddenStates(
            rows, size + 1, self._model.config.d_model, self._device, self._model.dtype
        )
        return _Rows(self._model, cache, states)

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    def _sources(self, tasks: Sequence[Request]) -> dict[str, Any]:
        if not self._model.config.has_encoder:
            return {}
        lengths = [len(task.source) for task in tasks]
        source_BS = pad([task.source for task in tasks], 0).to(self._device)
        return {"source_BS": source_BS, "source_lengths": lengths}

    def step(self, ids_R: Tensor) -> Tensor:
        """See Stepper."""
        assert self._memory is not None, "no rows were admitted"
        positions_R1 = self._tensor(self._lengths)[:, None]
        self._lengths = [length + 1 for length in self._lengths]
        ids_R1 = ids_R[:, None].to(self._device)
        hidden_R1D = self._memory.read(ids_R1, positions_R1, max(self._lengths))
        return self._model.logits(hidden_R1D)[:, 0].float()

    def states(self) -> tuple[Tensor, Tensor]:
        """See StateStepper."""
        assert self._memory is not None, "no rows were admitted"
        assert self._memory.states is not None, "keep_states was not asked for"
        return self._memory.states.read(), self._tensor(self._lengths)

    def extend(self, ids_RT: Tensor, counts: Sequence[int]) -> Tensor:
        """See RewindingStepper. Raises ConfigError for a sliding window."""
        assert self._memory is not None, "no rows were admitted"
        new_RT = padded_positions(self._tensor(counts), ids_RT.size(1))
        before_R1 = self._tensor(self._lengths)[:, None]
        positions_RT = torch.where(new_RT < 0, -1, new_RT + before_R1)
        self._move(counts)
        hidden_RTD = self._memory.read(ids_RT.to(self._device), positions_RT, max(self._lengths))
        return self._model.logits(hidden_RTD).float()

    def rewind(self, counts: Sequence[int]) -> None:
        """See RewindingStepper."""
        self._move([-count for count in counts])

    def _move(self, counts: Sequence[int]) -> None:
        """Let rows end elsewhere. Raises ConfigError where nothing can be taken back."""
        assert self._memory is not None, "no rows were admitted"
        moved = zip(self._lengths, counts, strict=True)
        self._lengths = [length + count for length, count in moved]
        self._memory.truncate(max(self._lengths))

    def reorder(self, rows: Sequence[int], copies: int = 1) -> None:
        """See Follower."""
        if not rows:  # the next to come need not have this one's sizes
            self._memory, self._lengths = None, []
            return
        assert self._memory is not None, "no rows were admitted"
        self._memory.reorder(rows, copies)
        self._lengths = [self._lengths[row] for row in rows]
