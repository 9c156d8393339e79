"""Labelled texts in batches: a model reads a whole text, and its labels are predicted."""

import numpy as np
import torch
from numpy.typing import NDArray

from ..inputs import Batch, ModelInputs
from .batches import IndexArray, SortedRows, gather_rows
from .store import TokenStore


class LabelledData(SortedRows):
    """Rows of ids with all that stands around the text, and their targets.

    `seconds` has the index of each row from which its tokens are of a second text's type. Targets
    are a label's id (N), or a number for each label (N, L). A batch has at most `max_tokens`
    tokens, padding included.
    """

    unit = "kept texts"

    def __init__(
        self,
        ids: TokenStore,
        seconds: IndexArray,
        targets: NDArray[np.generic],
        *,
        max_tokens: int,
        seed: int,
    ) -> None:
        self.ids, self.seconds, self.targets = ids, seconds, targets
        lengths = ids.lengths()
        self._lengths = lengths
        super().__init__(lengths, lengths, max_tokens=max_tokens, seed=seed)

    def count_targets(self, rows: IndexArray) -> int:
        """See SortedRows. Each label of a text that may have several is a target."""
        return len(rows) * int(np.prod(self.targets.shape[1:], dtype=np.int64))

    def make(self, rows: IndexArray) -> Batch:
        """See SortedRows."""
        lengths, seconds = self._lengths[rows], self.seconds[rows]
        ids_BT, mask_BT = gather_rows(self.ids.ids, self.ids.offsets[rows], lengths, 0)
        columns_T = np.arange(ids_BT.shape[1])
        positions_BT, types_BT = None, None
        if not mask_BT.all():
            positions_BT = torch.from_numpy(np.where(mask_BT, columns_T, -1))
        if (seconds < lengths).any():
            is_second_BT = mask_BT & (columns_T >= seconds[:, None])
            types_BT = torch.from_numpy(is_second_BT.astype(np.int64))
        return Batch(
            inputs=ModelInputs(torch.from_numpy(ids_BT), positions_BT, types_BT),
            targets=torch.from_numpy(np.array(self.targets[rows])),
            num_targets=self.count_targets(rows),
            rows=rows,
        )
