"""T5's span corruption (arXiv 1910.10683 §3.1.4, §3.3.4).

A row of tokens is cut into spans that alternate between kept and noise, beginning with kept. In the
input a sentinel stands for each span of noise; the target is the noise, each span after its
sentinel, and one more sentinel that closes it.
Shape suffixes: T tokens of a row, K sentinels.
"""

import numpy as np

from tokenizer.quantities import format_count

from ...errors import ConfigError
from ...noise_options import SpanOptions
from .vocabulary import BoolArray, IndexArray, RowIds


def count_noise(length: int, options: SpanOptions) -> tuple[int, int]:
    """Return the number of noise tokens, and of spans, in a row of so many tokens.

    Both are rounded to the nearest number, and at least 1, as at least one token is kept. In a row
    of one token there is no noise.

    >>> count_noise(568, SpanOptions())
    (85, 28)
    """
    if length < 2:
        return 0, 0
    noise = min(max(round(length * options.density), 1), length - 1)
    return noise, min(max(round(noise / options.mean_span), 1), length - noise)


def draw_noise_spans(length: int, rng: np.random.Generator, options: SpanOptions) -> BoolArray:
    """Return the mask (T) of the noise tokens of a row.

    All masks with so many noise tokens in so many spans, the first tokens kept and the last noise,
    are equally likely. That is `random_spans_noise_mask` of T5's code.
    """
    noise, spans = count_noise(length, options)
    if not spans:
        return np.zeros(length, dtype=np.bool_)
    lengths = np.empty(2 * spans, dtype=np.int64)
    lengths[0::2] = _draw_lengths(length - noise, spans, rng)
    lengths[1::2] = _draw_lengths(noise, spans, rng)
    return np.repeat(np.arange(2 * spans) % 2 == 1, lengths)


def replace_spans(
    ids_T: RowIds, is_noise_T: BoolArray, sentinel_ids_K: RowIds, *, closing_sentinel: bool = True
) -> tuple[IndexArray, IndexArray]:
    """Return the input and the target for a row and the mask of its noise.

    The first span has the first sentinel, and so on; T5's are its last ids, in decreasing order.
    Without the closing sentinel, target and input are those of T5's code, where a mask ends in
    noise; its masks all do.

    >>> input_ids, target_ids = replace_spans(
    ...     np.array([1, 2, 3, 4]), np.array([False, True, True, False]), np.array([99, 98])
    ... )
    >>> input_ids.tolist(), target_ids.tolist()
    ([1, 99, 4], [99, 2, 3, 98])
    """
    starts_T = is_noise_T.copy()
    starts_T[1:] &= ~is_noise_T[:-1]
    spans = int(starts_T.sum())
    if spans + closing_sentinel > len(sentinel_ids_K):
        raise ConfigError(
            f"a text of {format_count(len(ids_T), 'token')} has {format_count(spans, 'span')} of "
            f"noise and needs {format_count(spans + closing_sentinel, 'sentinel')}; the tokenizer "
            f"has {len(sentinel_ids_K):,}. "
            "Shorter texts, longer spans or a tokenizer with more sentinels will do"
        )
    input_T = ids_T.astype(np.int64)
    input_T[starts_T] = sentinel_ids_K[:spans]
    target = np.insert(
        ids_T[is_noise_T].astype(np.int64),
        np.flatnonzero(starts_T[is_noise_T]),
        sentinel_ids_K[:spans],
    )
    if closing_sentinel:
        target = np.append(target, sentinel_ids_K[spans])
    return input_T[~is_noise_T | starts_T], target


def corrupt_spans(
    ids_T: RowIds, rng: np.random.Generator, sentinel_ids_K: RowIds, options: SpanOptions
) -> tuple[IndexArray, IndexArray]:
    """Return the input and the target for a row, with noise drawn for it."""
    is_noise_T = draw_noise_spans(len(ids_T), rng, options)
    return replace_spans(
        ids_T, is_noise_T, sentinel_ids_K, closing_sentinel=options.closing_sentinel
    )


def corrupted_lengths(length: int, options: SpanOptions) -> tuple[int, int]:
    """Return the lengths of the input and the target that a row of so many tokens becomes.

    End tokens, which T5 adds to both, are not counted.

    >>> corrupted_lengths(568, SpanOptions())
    (511, 114)
    """
    noise, spans = count_noise(length, options)
    return length - noise + spans, noise + spans + options.closing_sentinel


def raw_length(input_length: int, options: SpanOptions) -> int:
    """Return the number of tokens of the longest row whose input has at most `input_length`.

    End tokens are not counted. T5's inputs of 512 with an end token are made of 568 tokens.

    >>> raw_length(511, SpanOptions())
    568
    """
    length = 0
    while corrupted_lengths(length + 1, options)[0] <= input_length:
        length += 1
    return length


def _draw_lengths(tokens: int, segments: int, rng: np.random.Generator) -> IndexArray:
    """Return the lengths of tokens cut into segments, none empty, all cuts equally likely."""
    cuts = np.sort(rng.choice(tokens - 1, segments - 1, replace=False, shuffle=False)) + 1
    return np.diff(cuts, prepend=0, append=tokens)
