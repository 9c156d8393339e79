"""Token ids as noise sees them, and the words in a row of them.

Shape suffixes: T tokens of a row, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError

IndexArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
RowIds = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseVocabulary:
    """The ids that noise never touches, those that it writes, and tables of the others by id.

    The mask and the sentinels are special, whether `special_ids` names them or not. Without a
    table of the tokens that continue a word, each token is a word.
    """

    size: int
    special_ids: Sequence[int] = ()
    mask_id: int | None = None
    sentinel_ids: Sequence[int] = ()  # in the order in which spans of a row are given them
    continues_word_V: BoolArray | None = None
    ends_sentence_V: BoolArray | None = None  # full stops and the like
    is_special_V: BoolArray = field(init=False)

    def __post_init__(self) -> None:
        table = np.zeros(self.size, dtype=np.bool_)
        table[[*self.special_ids, *self.sentinel_ids]] = True
        if self.mask_id is not None:
            table[self.mask_id] = True
        object.__setattr__(self, "is_special_V", table)

    @cached_property
    def ordinary_ids(self) -> IndexArray:
        """The ids that are not special."""
        return np.flatnonzero(~self.is_special_V)

    def require_mask(self) -> int:
        """Return the id of the mask; raises ConfigError if there is none."""
        if self.mask_id is None:
            raise ConfigError(
                "the tokenizer has no mask token; train one with --special '<mask>', "
                "or use an objective that needs none"
            )
        return self.mask_id

    def is_ordinary(self, ids_T: RowIds) -> BoolArray:
        """Return the mask of the tokens of a row that are not special."""
        return ~self.is_special_V[ids_T]

    def word_starts(self, ids_T: RowIds, *, whole_words: bool) -> BoolArray:
        """Return the mask of the tokens that begin a word, or of all ordinary ones.

        A piece that would continue a word begins one at a row's start and after a special token.
        """
        ordinary_T = self.is_ordinary(ids_T)
        if not whole_words or self.continues_word_V is None:
            return ordinary_T
        follows_T = np.concatenate([[False], ordinary_T[:-1]])[: len(ids_T)]
        starts_T: BoolArray = ordinary_T & ~(self.continues_word_V[ids_T] & follows_T)
        return starts_T
