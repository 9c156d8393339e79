"""Tagged texts in batches: a model reads windows of texts, and the tags of words are predicted."""

import numpy as np
import torch

from ..inputs import IGNORE, Batch, ModelInputs
from .batches import IndexArray, SortedRows, flat_indices, gather_rows
from .store import TokenStore


class TaggedData(SortedRows):
    """Rows of ids with all that stands around them, and a target for each token.

    `tags` has rows as long, of tags' ids plus 1, and 0 for a token without a target. A batch has at
    most `max_tokens` tokens, padding included.
    """

    unit = "kept windows"

    def __init__(self, ids: TokenStore, tags: TokenStore, *, max_tokens: int, seed: int) -> None:
        self.ids, self.tags = ids, tags
        lengths = ids.lengths()
        self._lengths = lengths
        before = np.concatenate([[0], np.cumsum(np.not_equal(tags.ids, 0))])
        self._targets = np.diff(before[ids.offsets])  # of each row
        super().__init__(lengths, lengths, max_tokens=max_tokens, seed=seed)

    def count_targets(self, rows: IndexArray) -> int:
        """See SortedRows."""
        return int(self._targets[rows].sum())

    def make(self, rows: IndexArray) -> Batch:
        """See SortedRows."""
        starts, lengths = self.ids.offsets[rows], self._lengths[rows]
        ids_BT, mask_BT = gather_rows(self.ids.ids, starts, lengths, 0)
        tags_BT, _ = gather_rows(self.tags.ids, starts, lengths, 0)
        positions_BT = None
        if not mask_BT.all():
            positions_BT = torch.from_numpy(np.where(mask_BT, np.arange(mask_BT.shape[1]), -1))
        return Batch(
            inputs=ModelInputs(torch.from_numpy(ids_BT), positions_BT),
            targets=torch.from_numpy(np.where(tags_BT > 0, tags_BT - 1, IGNORE)),
            predicted_N=flat_indices(tags_BT > 0),
            num_targets=self.count_targets(rows),
            rows=rows,
        )
