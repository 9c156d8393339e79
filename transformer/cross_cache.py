"""The cache of the encoder's output, as cross-attention reads it while a text is decoded.

Shape suffixes: B rows, S source tokens, G key heads, K head width.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Self

from torch import Tensor

from .buffers import concatenate_rows, in_blocks, selection
from .cache import KeysValues


class CrossAttentionCache:
    """Each decoder layer's keys and values of the encoder's output, computed once.

    Consecutive rows with the same source, such as beams, share one entry: row r reads entry
    r // rows_per_entry. `lengths` are the sources' lengths in tokens, without padding; the mask is
    -inf there and 0 elsewhere, to add to scores.
    """

    def __init__(self, layers: list[KeysValues], lengths: Sequence[int], mask_B11S: Tensor) -> None:
        by_heads = ((k.transpose(1, 2), v.transpose(1, 2)) for k, v in layers)
        self._set_layers((k.contiguous(), v.contiguous()) for k, v in by_heads)
        self.lengths = list(lengths)
        self.mask_B11S = mask_B11S
        self.rows_per_entry = 1

    def _set_layers(self, layers: Iterable[KeysValues]) -> None:
        """Set each layer's keys and values, laid out by heads: (B, G, S, K)."""
        self._by_heads = list(layers)
        self.layers = [(k.transpose(1, 2), v.transpose(1, 2)) for k, v in self._by_heads]

    def reorder(self, rows: Sequence[int], rows_per_entry: int) -> None:
        """Gather rows: r becomes `rows[r]`; every `rows_per_entry` rows share one source."""
        entries = [row // self.rows_per_entry for row in rows[::rows_per_entry]]
        self.rows_per_entry = rows_per_entry
        self._select(entries)

    def _select(self, entries: list[int]) -> None:
        """Keep these entries, in this order, no wider than the block of the longest of them."""
        if entries == list(range(len(self.lengths))):
            return
        self.lengths = [self.lengths[entry] for entry in entries]
        longest = in_blocks(max(self.lengths, default=0))
        select = selection(entries, self.mask_B11S.device)
        self._set_layers(
            (select(k)[:, :, :longest], select(v)[:, :, :longest]) for k, v in self._by_heads
        )
        self.mask_B11S = select(self.mask_B11S)[..., :longest]

    def append_rows(self, other: Self) -> None:
        """Append the rows of another cache to these."""
        for cache in (self, other):
            if self.rows_per_entry != other.rows_per_entry:
                cache.expand()
        size = max(self.mask_B11S.size(-1), other.mask_B11S.size(-1))
        self._set_layers(
            (concatenate_rows(k, other_k, size, dim=2), concatenate_rows(v, other_v, size, dim=2))
            for (k, v), (other_k, other_v) in zip(self._by_heads, other._by_heads, strict=True)
        )
        mine_BS, theirs_BS = (cache.mask_B11S[:, 0, 0] for cache in (self, other))
        mask_BS = concatenate_rows(mine_BS, theirs_BS, size, value=-math.inf)
        self.mask_B11S = mask_BS[:, None, None]
        self.lengths += other.lengths

    def expand(self) -> None:
        """Give each row an entry of its own."""
        self._select(
            [entry for entry in range(len(self.lengths)) for _ in range(self.rows_per_entry)]
        )
        self.rows_per_entry = 1
