"""Inputs of a network: ids, and all that goes with them.

Shape suffixes: B batch, T tokens.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class ModelInputs(NamedTuple):
    """The tokens that a network reads; those of an encoder-decoder's encoder are its `source`.

    A source has as many rows, or one, which is that of all. Other shapes ignore it. Segments keep
    documents in one row apart: a token sees those of its own segment alone.
    """

    ids_BT: Tensor
    positions_BT: Tensor | None = None  # -1 marks padding; None: 0, 1, 2 … without padding
    types_BT: Tensor | None = None  # BERT's segments; None: all of type 0
    source: "ModelInputs | None" = None
    segments_BT: Tensor | None = None  # None: all of one

    def map(self, function: Callable[[Tensor], Tensor]) -> "ModelInputs":
        """Return the inputs with a function applied to each tensor, those of the source too."""
        ids_BT, positions_BT, types_BT, source, segments_BT = self
        return ModelInputs(
            function(ids_BT),
            None if positions_BT is None else function(positions_BT),
            None if types_BT is None else function(types_BT),
            None if source is None else source.map(function),
            None if segments_BT is None else function(segments_BT),
        )
