"""What a search sees of a model: a step function.

Shape suffixes: R rows (texts being written), V vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..data import pad
from ..loading import finite
from ..masks import padded_positions
from ..model import DecoderCache, Transformer


class Stepper(Protocol):
    """Something that continues rows of tokens: a model, several, or a table of probabilities."""

    def step(self, ids_R: Tensor) -> Tensor:
        """Take one more token for each row; return what may come next as logits (R, V)."""
        ...

    def reorder(self, rows_R: Tensor) -> None:
        """Row r becomes what row `rows_R[r]` was; rows may be repeated, dropped or added."""
        ...


class ModelStepper:
    """A Transformer's decoder with its cache."""

    def __init__(self, model: Transformer, cache: DecoderCache, positions_R: Tensor) -> None:
        self._model, self._cache, self._positions_R = model, cache, positions_R

    def step(self, ids_R: Tensor) -> Tensor:
        """See Stepper."""
        hidden_R1D = self._model.decode(ids_R[:, None], self._positions_R[:, None], self._cache)
        self._positions_R = self._positions_R + 1
        return finite(self._model.logits(hidden_R1D)[:, 0].float())

    def reorder(self, rows_R: Tensor) -> None:
        """See Stepper."""
        self._cache.reorder(rows_R)
        self._positions_R = self._positions_R[rows_R]


def source_stepper(
    model: Transformer, sources: Sequence[Sequence[int]], *, size: int
) -> ModelStepper:
    """A stepper that writes up to `size` tokens about each source, which is encoded here."""
    device = model.embedding.weight.device
    source_BS = pad(sources, 0).to(device)
    lengths_B = torch.tensor([len(source) for source in sources], device=device)
    cache = model.new_cache(
        len(sources),
        size,
        source_BS=source_BS,
        source_positions_BS=padded_positions(lengths_B, source_BS.size(1)),
    )
    return ModelStepper(model, cache, torch.zeros_like(lengths_B))


def prompt_stepper(
    model: Transformer, prompts: Sequence[Sequence[int]], *, size: int
) -> tuple[ModelStepper, Tensor]:
    """A stepper that has read each prompt but its last token, and those last tokens (R).

    `size` is the longest text, prompt included, in tokens.
    """
    device = model.embedding.weight.device
    cache = model.new_cache(len(prompts), size)
    lengths_R = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
    longest = int(lengths_R.max())
    if longest:
        ids_RT = pad([prompt[:-1] for prompt in prompts], 0).to(device)
        model.decode(ids_RT, padded_positions(lengths_R, longest), cache)
    last_R = torch.tensor([prompt[-1] for prompt in prompts], device=device)
    return ModelStepper(model, cache, lengths_R), last_R
