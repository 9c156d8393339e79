"""Inputs of a network, and the targets that it should predict.

Shape suffixes: B batch, T tokens, G global tokens, N tokens to predict.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

IGNORE = -100  # target of a token that is not to be predicted, such as padding


class ModelInputs(NamedTuple):
    """The tokens that a network reads; those of an encoder-decoder's encoder are its `source`.

    A source has as many rows, or one, which is that of all. Other shapes ignore it. Segments keep
    documents in one row apart: a token sees those of its own segment alone. Global tokens are
    indices in each row, each once; attention of the kind longformer lets them see and be seen by
    all. Other kinds ignore them.
    """

    ids_BT: Tensor
    positions_BT: Tensor | None = None  # -1 marks padding; None: 0, 1, 2 … without padding
    types_BT: Tensor | None = None  # BERT's segments; None: all of type 0
    source: "ModelInputs | None" = None
    segments_BT: Tensor | None = None  # None: all of one
    global_tokens_BG: Tensor | None = None  # -1: none; None: the first token of each text

    def map(self, function: Callable[[Tensor], Tensor]) -> "ModelInputs":
        """Return the inputs with a function applied to each tensor, those of the source too."""
        ids_BT, positions_BT, types_BT, source, segments_BT, global_tokens_BG = self
        return ModelInputs(
            function(ids_BT),
            None if positions_BT is None else function(positions_BT),
            None if types_BT is None else function(types_BT),
            None if source is None else source.map(function),
            None if segments_BT is None else function(segments_BT),
            None if global_tokens_BG is None else function(global_tokens_BG),
        )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The inputs of a model and the targets that it should predict.

    Of a head with an output for each token, targets are ids (B, T), IGNORE where there is nothing
    to predict; of one with an output for each text, labels (B), or numbers for each label (B, L).
    """

    inputs: ModelInputs
    targets: Tensor
    num_targets: int
    rows: NDArray[np.int64]  # (B) indices of the rows of the data, or first tokens of windows
    predicted_N: Tensor | None = None  # flat indices of what is to predict in B·T; None: all

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; from pinned memory, copies run asynchronously."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Return the batch in pinned memory, from which a GPU copies asynchronously."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        predicted_N = None if self.predicted_N is None else function(self.predicted_N)
        inputs, targets = self.inputs.map(function), function(self.targets)
        return replace(self, inputs=inputs, targets=targets, predicted_N=predicted_N)
