"""Several data mixed, each batch of one of them."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

import numpy as np

from ..errors import ConfigError
from ..inputs import Batch
from .batches import Data, IndexArray
from .noise import mixing_counts, mixing_order


class MixedData:
    """Data of several corpora, tasks or directions, of which each has its share of the batches.

    An epoch has as many batches as all have together. A part goes on from epoch to epoch where it
    stopped, so all of its text comes before any comes again, whatever its share.
    """

    def __init__(
        self, parts: Sequence[Data], shares: Sequence[float], *, names: Sequence[str], seed: int
    ) -> None:
        if len(parts) != len(shares) or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(f"{len(parts)} parts need as many shares, which add up to 1")
        self.parts, self.shares, self.names, self.seed = parts, shares, names, seed
        self.batches_per_epoch = sum(part.batches_per_epoch for part in parts)
        self._order = lru_cache(maxsize=2)(self._draw)  # a step may end in the next epoch
        self._before = lru_cache(maxsize=2)(self._count_before)

    def batch(self, number: int) -> Batch:
        """See Data."""
        part, number_within = self._find(number)
        return self.parts[part].batch(number_within)

    def num_targets(self, number: int) -> int:
        """See Data."""
        part, number_within = self._find(number)
        return self.parts[part].num_targets(number_within)

    def describe(self, number: int) -> str:
        """See Data."""
        part, number_within = self._find(number)
        return f"{self.names[part]}: {self.parts[part].describe(number_within)}"

    def in_order(self) -> Iterator[Batch]:
        """See Data. All parts are whole, whatever their shares."""
        return chain.from_iterable(part.in_order() for part in self.parts)

    def _find(self, number: int) -> tuple[int, int]:
        """Return the part that a batch is of, and its number within it."""
        epoch, index = divmod(number, self.batches_per_epoch)
        order = self._order(epoch)
        part = int(order[index])
        return part, int(self._before(epoch)[part] + (order[:index] == part).sum())

    def _draw(self, epoch: int) -> IndexArray:
        return mixing_order(self.shares, self.batches_per_epoch, seed=self.seed, epoch=epoch)

    def _count_before(self, epoch: int) -> IndexArray:
        """Count the batches of each part in the epochs before one."""
        counts = np.zeros(len(self.parts), dtype=np.int64)
        for earlier in range(epoch):
            counts += mixing_counts(
                self.shares, self.batches_per_epoch, seed=self.seed, epoch=earlier
            )
        return counts
