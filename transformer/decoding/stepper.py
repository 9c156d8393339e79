"""What a search sees of a model: a step function.

Shape suffixes: R rows (texts being written), V vocabulary, T tokens, D d_model.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..data import pad, pad_rows
from ..masks import padded_positions
from ..model import DecoderCache, Transformer
from .states import States
from .tasks import Task


class Follower(Protocol):
    """Something whose rows are those of a search."""

    def reorder(self, rows_R: Tensor) -> None:
        """Row r becomes what row `rows_R[r]` was; rows may be repeated, dropped or added."""
        ...


class Stepper(Follower, Protocol):
    """Something that continues rows of tokens: a model, several, or a table of probabilities."""

    def admit(self, tasks: Sequence[Task], copies: int = 1) -> None:
        """Add rows after those that are there, `copies` for each task, which have read what the
        task's text begins with but for the last token of its prompt."""
        ...

    def step(self, ids_R: Tensor) -> Tensor:
        """Take one more token for each row; return what may come next as logits (R, V)."""
        ...


@runtime_checkable
class StateStepper(Stepper, Protocol):
    """A stepper that shows what it has made of the tokens."""

    def states(self) -> tuple[Tensor, Tensor]:
        """The last layer's states (R, T, D) of all tokens that rows have read, padded on the
        right, and how many each row has read (R)."""
        ...


@runtime_checkable
class RewindingStepper(Stepper, Protocol):
    """A stepper that takes several tokens at once, and takes them back."""

    def extend(self, ids_RT: Tensor, counts_R: Tensor) -> Tensor:
        """Take the first `counts_R` tokens of each row, none in some; return what may come after
        each, as logits (R, T, V)."""
        ...

    def rewind(self, counts_R: Tensor) -> None:
        """Take each row's last tokens back."""
        ...


class _Rows:
    """What a model remembers of rows: its cache, and the states where they are asked for."""

    def __init__(self, model: Transformer, cache: DecoderCache, states: States | None) -> None:
        self.model, self.cache, self.states = model, cache, states

    def read(self, ids_RT: Tensor, positions_RT: Tensor) -> Tensor:
        """The states (R, T, D) of new tokens."""
        if self.states is None:
            return self.model.decode(ids_RT, positions_RT, self.cache)
        # A candidate for the last token of a text that fills the context has no position of its
        # own: it is read at the last one.
        within_RT = positions_RT.clamp(max=self.model.config.max_positions - 1)
        hidden_RTD = self.model.decode(ids_RT, within_RT, self.cache)
        self.states.write(positions_RT, hidden_RTD)
        return hidden_RTD

    def reorder(self, rows_R: Tensor) -> None:
        """See Follower."""
        self.cache.reorder(rows_R)
        if self.states is not None:
            self.states.reorder(rows_R)

    def trim(self, length: int) -> None:
        """No row is longer than this now."""
        self.cache.own.trim(length)
        if self.states is not None:
            self.states.trim(length)

    def join(self, other: "_Rows") -> None:
        """Take in the rows of another, after those that are here."""
        self.cache.join(other.cache)
        if self.states is not None and other.states is not None:
            self.states.join(other.states)


class ModelStepper:
    """A Transformer's decoder with its cache. A StateStepper where states are kept, a
    RewindingStepper where the cache can take back, as all but a sliding window's can."""

    def __init__(self, model: Transformer, *, keep_states: bool = False) -> None:
        self._model, self._keep = model, keep_states
        self._device = model.embedding.weight.device
        self._memory: _Rows | None = None
        self._positions_R = torch.empty(0, dtype=torch.long, device=self._device)

    def admit(self, tasks: Sequence[Task], copies: int = 1) -> None:
        """See Stepper. Encodes sources and reads prompts."""
        lengths_B = self._tensor([len(task.prompt) - 1 for task in tasks])
        memory = self._begin(tasks)
        if longest := int(lengths_B.max()):
            ids_BT = pad([task.prompt[:-1] for task in tasks], 0).to(self._device)
            memory.read(ids_BT, padded_positions(lengths_B, longest))
        if copies > 1:
            rows_R = torch.arange(len(tasks), device=self._device).repeat_interleave(copies)
            memory.reorder(rows_R)
            lengths_B = lengths_B[rows_R]
        if self._memory is None:
            self._memory = memory
        else:
            self._memory.join(memory)
        self._positions_R = torch.cat([self._positions_R, lengths_B])

    def _begin(self, tasks: Sequence[Task]) -> _Rows:
        """Room for all that tasks' rows will read; those with states read their last token too."""
        rows, size = len(tasks), max(len(task.prompt) - 1 + task.limit for task in tasks)
        if not self._keep:
            cache = self._model.new_cache(rows, size, **self._sources(tasks))
            return _Rows(self._model, cache, None)
        cache = self._model.new_cache(rows, size + 1, **self._sources(tasks))
        weight = self._model.embedding.weight
        states = States(rows, size + 1, self._model.config.d_model, weight)
        return _Rows(self._model, cache, states)

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    def _sources(self, tasks: Sequence[Task]) -> dict[str, Tensor]:
        if not self._model.config.has_encoder:
            return {}
        source_BS, positions_BS = pad_rows([task.source for task in tasks], self._device)
        return {"source_BS": source_BS, "source_positions_BS": positions_BS}

    def step(self, ids_R: Tensor) -> Tensor:
        """See Stepper."""
        assert self._memory is not None, "no rows were admitted"
        ids_R1 = ids_R[:, None].to(self._device)
        hidden_R1D = self._memory.read(ids_R1, self._positions_R[:, None])
        self._positions_R = self._positions_R + 1
        return self._model.logits(hidden_R1D)[:, 0].float()

    def states(self) -> tuple[Tensor, Tensor]:
        """See StateStepper."""
        assert self._memory is not None, "no rows were admitted"
        assert self._memory.states is not None, "keep_states was not asked for"
        return self._memory.states.read(), self._positions_R

    def extend(self, ids_RT: Tensor, counts_R: Tensor) -> Tensor:
        """See RewindingStepper. Raises ConfigError for a sliding window."""
        assert self._memory is not None, "no rows were admitted"
        counts_R = counts_R.to(self._device)
        new_RT = padded_positions(counts_R, ids_RT.size(1))
        positions_RT = torch.where(new_RT < 0, -1, new_RT + self._positions_R[:, None])
        hidden_RTD = self._memory.read(ids_RT.to(self._device), positions_RT)
        self._move(counts_R)
        return self._model.logits(hidden_RTD).float()

    def rewind(self, counts_R: Tensor) -> None:
        """See RewindingStepper."""
        self._move(-counts_R.to(self._device))

    def _move(self, counts_R: Tensor) -> None:
        """Let rows end elsewhere, and the cache know how long the longest is: it need not be
        among those that have read something."""
        assert self._memory is not None, "no rows were admitted"
        self._positions_R = self._positions_R + counts_R
        self._memory.trim(int(self._positions_R.max()))

    def reorder(self, rows_R: Tensor) -> None:
        """See Follower."""
        if not len(rows_R):  # the next to come need not have this one's sizes
            self._memory, self._positions_R = None, self._positions_R[:0]
            return
        assert self._memory is not None, "no rows were admitted"
        rows_R = rows_R.to(self._device)
        self._memory.reorder(rows_R)
        self._positions_R = self._positions_R[rows_R]
