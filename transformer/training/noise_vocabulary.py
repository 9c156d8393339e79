"""A tokenizer's tokens as noise sees them."""

from functools import lru_cache

import numpy as np

from tokenizer import Tokenizer
from tokenizer.scripts import SENTENCE_ENDS
from tokenizer.special import sentinel

from ..data.noise import NoiseVocabulary
from ..data.noise.vocabulary import BoolArray
from ..pipelines.word_tokens import word_tokens


@lru_cache(maxsize=4)  # training, validation and samples each ask for it
def noise_vocabulary(tokenizer: Tokenizer, size: int) -> NoiseVocabulary:
    """Return what noise knows of the tokens of a model's vocabulary of `size`.

    All added tokens are special, tags among them, and so are ids without a token, which no text
    has. A sentence ends with a token that ends in a mark of sentences.
    """
    names = [tokenizer.token(i) for i in range(size)]
    special_ids = {i for i in tokenizer.backend.get_added_tokens_decoder() if i < size}
    special_ids |= {i for i, name in enumerate(names) if name is None}
    ordinary_ids = [i for i in range(size) if i not in special_ids]
    texts = tokenizer.decode_batch([[i] for i in ordinary_ids])
    stops = [i for i, text in zip(ordinary_ids, texts, strict=True) if _ends_sentence(text)]
    return NoiseVocabulary(
        size=size,
        special_ids=sorted(special_ids),
        mask_id=tokenizer.role("mask"),
        sentinel_ids=[i for i in sentinel_ids(tokenizer) if i < size],
        continues_word_V=_table(size, word_tokens(tokenizer, size, special_ids).within.tolist()),
        ends_sentence_V=_table(size, stops),
    )


def sentinel_ids(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of the sentinels that a tokenizer has, in their order."""
    ids: list[int] = []
    while (token_id := tokenizer.token_id(sentinel(len(ids)))) is not None:
        ids.append(token_id)
    return ids


def _ends_sentence(text: str) -> bool:
    return text.rstrip()[-1:] in {*SENTENCE_ENDS}


def _table(size: int, ids: list[int]) -> BoolArray:
    """Return a table by id: True for these."""
    table = np.zeros(size, dtype=np.bool_)
    table[ids] = True
    return table
