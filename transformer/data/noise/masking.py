"""BERT's masked language model (arXiv 1810.04805 §3.1), drawn anew in every epoch.

New masks in every epoch are RoBERTa's dynamic masking (arXiv 1907.11692 §4.1).
Shape suffixes: T tokens of a row, N chosen ones.
"""

import numpy as np

from ...inputs import IGNORE
from ...noise_options import MaskingOptions
from .vocabulary import BoolArray, IndexArray, NoiseVocabulary, RowIds


def mask_tokens(
    ids_T: RowIds, rng: np.random.Generator, vocabulary: NoiseVocabulary, options: MaskingOptions
) -> tuple[IndexArray, IndexArray]:
    """Return a row with noise, and its targets: the chosen tokens, IGNORE elsewhere.

    Each chosen token is masked, replaced or kept by a draw of its own, in whole words too.
    """
    chosen_N = choose_tokens(ids_T, rng, vocabulary, options)
    noisy_T = ids_T.astype(np.int64)
    targets_T = np.full(len(ids_T), IGNORE, dtype=np.int64)
    targets_T[chosen_N] = noisy_T[chosen_N]
    draws_N = rng.random(len(chosen_N))
    masked_N = draws_N < options.masked
    random_N = ~masked_N & (draws_N < options.masked + options.random)
    noisy_T[chosen_N[masked_N]] = vocabulary.require_mask()
    noisy_T[chosen_N[random_N]] = rng.choice(vocabulary.ordinary_ids, random_N.sum())
    return noisy_T, targets_T


def choose_tokens(
    ids_T: RowIds, rng: np.random.Generator, vocabulary: NoiseVocabulary, options: MaskingOptions
) -> IndexArray:
    """Return the indices of the tokens to predict, in order.

    Of n ordinary tokens, p·n are chosen, a fraction rounded up with the probability of that
    fraction, as fairseq's RoBERTa does, so that rows of any length have p·n on average; but at
    least one, as in BERT's code. (BERT rounds to the nearest number; the collator of `transformers`
    draws for each token alone, which leaves short rows without any.) Whole words are taken in
    random order while their tokens fit into that number, and longer ones passed over, as in BERT's
    code; where none fits, one of the shortest is taken.
    """
    ordinary_N = np.flatnonzero(vocabulary.is_ordinary(ids_T))
    if not len(ordinary_N):
        return ordinary_N
    budget = max(1, int(options.probability * len(ordinary_N) + rng.random()))
    if not options.whole_words or vocabulary.continues_word_V is None:
        return np.sort(rng.choice(ordinary_N, budget, replace=False, shuffle=False))
    starts_N = vocabulary.word_starts(ids_T, whole_words=True)[ordinary_N]
    word_N = np.cumsum(starts_N) - 1
    chosen_N: IndexArray = ordinary_N[_choose_words(np.bincount(word_N), budget, rng)[word_N]]
    return chosen_N


def _choose_words(lengths: IndexArray, budget: int, rng: np.random.Generator) -> BoolArray:
    """Return the mask of words drawn in random order while they fit into a budget of tokens."""
    chosen = np.zeros(len(lengths), dtype=np.bool_)
    order = rng.permutation(len(lengths))
    for word, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        if length <= budget:
            chosen[word] = True
            budget -= length
        if not budget:
            break
    if not chosen.any():
        chosen[order[lengths[order].argmin()]] = True
    return chosen
