"""Conversations in batches: a decoder reads all of one, and predicts the answers in it."""

import numpy as np
import torch

from ..inputs import IGNORE, Batch, ModelInputs
from .batches import IndexArray, SortedRows, flat_indices, gather_rows
from .store import TokenStore


class ConversationData(SortedRows):
    """Rows of ids, of which those that `predicted` marks with 1 are predicted from those before.

    A batch has at most `max_tokens` tokens, padding included. The first id of a row is read only.
    """

    unit = "kept conversations"

    def __init__(
        self, ids: TokenStore, predicted: TokenStore, *, max_tokens: int, seed: int
    ) -> None:
        self.ids, self.predicted = ids, predicted
        total = np.concatenate([[0], np.cumsum(predicted.ids, dtype=np.int64)])
        starts, ends = predicted.offsets[:-1], predicted.offsets[1:]
        self._num_targets = total[ends] - total[np.minimum(starts + 1, ends)]
        lengths = ids.lengths() - 1  # the last token is not read
        super().__init__(lengths, lengths, max_tokens=max_tokens, seed=seed)

    def count_targets(self, rows: IndexArray) -> int:
        """See SortedRows."""
        return int(self._num_targets[rows].sum())

    def make(self, rows: IndexArray) -> Batch:
        """See SortedRows."""
        starts = self.ids.offsets[rows]
        lengths = self.ids.offsets[rows + 1] - starts - 1
        ids_BT, _ = gather_rows(self.ids.ids, starts, lengths, 0)
        following_BT, _ = gather_rows(self.ids.ids, starts + 1, lengths, IGNORE)
        marks_BT, _ = gather_rows(self.predicted.ids, starts + 1, lengths, 0)
        mask_BT = marks_BT == 1
        return Batch(
            inputs=ModelInputs(torch.from_numpy(ids_BT)),
            targets=torch.from_numpy(np.where(mask_BT, following_BT, IGNORE)),
            predicted_N=flat_indices(mask_BT),
            num_targets=self.count_targets(rows),
            rows=rows,
        )
