"""What a search sees of a model: a step function.

Shape suffixes: R rows (texts being written), V vocabulary, T tokens.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..data import pad
from ..masks import padded_positions
from ..model import DecoderCache, Transformer
from .tasks import Task


class Stepper(Protocol):
    """Something that continues rows of tokens: a model, several, or a table of probabilities."""

    def admit(self, tasks: Sequence[Task], copies: int = 1) -> None:
        """Add rows after those that are there, `copies` for each task, which have read what the
        task's text begins with but for the last token of its prompt."""
        ...

    def step(self, ids_R: Tensor) -> Tensor:
        """Take one more token for each row; return what may come next as logits (R, V)."""
        ...

    def reorder(self, rows_R: Tensor) -> None:
        """Row r becomes what row `rows_R[r]` was; rows may be repeated, dropped or added."""
        ...


class ModelStepper:
    """A Transformer's decoder with its cache."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._device = model.embedding.weight.device
        self._cache: DecoderCache | None = None
        self._positions_R = torch.empty(0, dtype=torch.long, device=self._device)

    def admit(self, tasks: Sequence[Task], copies: int = 1) -> None:
        """See Stepper. Encodes sources and reads prompts."""
        lengths_B = self._tensor([len(task.prompt) - 1 for task in tasks])
        cache = self._model.new_cache(
            len(tasks),
            max(len(task.prompt) - 1 + task.limit for task in tasks),
            **self._sources(tasks),
        )
        if longest := int(lengths_B.max()):
            ids_BT = pad([task.prompt[:-1] for task in tasks], 0).to(self._device)
            self._model.decode(ids_BT, padded_positions(lengths_B, longest), cache)
        if copies > 1:
            rows_R = torch.arange(len(tasks), device=self._device).repeat_interleave(copies)
            cache.reorder(rows_R)
            lengths_B = lengths_B[rows_R]
        if self._cache is None:
            self._cache = cache
        else:
            self._cache.join(cache)
        self._positions_R = torch.cat([self._positions_R, lengths_B])

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    def _sources(self, tasks: Sequence[Task]) -> dict[str, Tensor]:
        if not self._model.config.has_encoder:
            return {}
        source_BS = pad([task.source for task in tasks], 0).to(self._device)
        lengths_B = self._tensor([len(task.source) for task in tasks])
        positions_BS = padded_positions(lengths_B, source_BS.size(1))
        return {"source_BS": source_BS, "source_positions_BS": positions_BS}

    def step(self, ids_R: Tensor) -> Tensor:
        """See Stepper."""
        assert self._cache is not None, "no rows were admitted"
        ids_R1 = ids_R[:, None].to(self._device)
        hidden_R1D = self._model.decode(ids_R1, self._positions_R[:, None], self._cache)
        self._positions_R = self._positions_R + 1
        return self._model.logits(hidden_R1D)[:, 0].float()

    def reorder(self, rows_R: Tensor) -> None:
        """See Stepper."""
        if not len(rows_R):  # the next to come need not have this one's sizes
            self._cache, self._positions_R = None, self._positions_R[:0]
            return
        assert self._cache is not None, "no rows were admitted"
        rows_R = rows_R.to(self._device)
        self._cache.reorder(rows_R)
        self._positions_R = self._positions_R[rows_R]
