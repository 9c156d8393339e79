"""Detection and repair of translations that degenerate into repetition."""

from collections.abc import Sequence
from dataclasses import replace

from ..decoding.request import Hypothesis, Request
from .records import Revision

_MAX_PERIOD = 16  # tokens of the part that is repeated
_MIN_REPEATS, _MIN_TOKENS = 4, 16  # of the part; in all repeats together
_RETRY_NGRAM_SIZE = 3  # n-grams that may not repeat when a looping text is decoded again

# Of a source: the characters of the part that is repeated, its repeats (those of a word, which is
# longer, need not be as many), and the characters of all repeats together.
_MAX_PART, _PART_REPEATS, _WORD_REPEATS, _WORD, _MIN_RUN = 80, 4, 3, 4, 6


def ends_in_loop(ids: Sequence[int]) -> bool:
    """Return True if a text ends in repeats of the same 1 to 16 tokens.

    >>> ends_in_loop([7, 8] + [1, 2, 3] * 6)
    True
    >>> ends_in_loop([1, 2, 3] * 3)
    False
    """
    return any(_ends_in_repeats(ids, period) for period in range(1, _MAX_PERIOD + 1))


def _ends_in_repeats(ids: Sequence[int], period: int) -> bool:
    length = max(_MIN_REPEATS * period, _MIN_TOKENS)
    tail = list(ids[-length:])
    return len(tail) == length and tail[period:] == tail[:-period]


def is_repetitive(text: str) -> bool:
    """Return True if a text has the same part several times in a row, so that a translation may.

    >>> [is_repetitive(t) for t in ("0000000000", "ha ha ha ha!", "very very very", "Wait... no!!")]
    [True, True, True, False]
    """
    folded = " ".join(text.casefold().split()) + " "
    words = " ".join("".join(c if c.isalnum() else " " for c in folded).split()) + " "
    periods = range(1, _MAX_PART + 1)
    return any(_has_run(version, period) for version in (folded, words) for period in periods)


def _has_run(text: str, period: int) -> bool:
    """Return True if a part of `period` characters is repeated often enough."""
    repeats = _PART_REPEATS if period < _WORD else _WORD_REPEATS
    needed = max(repeats * period, _MIN_RUN) - period
    run = 0
    for earlier, later in zip(text, text[period:], strict=False):
        run = run + 1 if earlier == later else 0
        if run >= needed:
            return True
    return False


def repair_loop(
    request: Request, hypotheses: list[Hypothesis], source: str
) -> Revision[Request, list[Hypothesis]]:
    """Decode a text that ends in a loop again, without repeated n-grams.

    The new text is kept where the source does not repeat itself: there nothing but a loop repeats.
    Where it does, a text that ended by itself is right, and of others the more likely one is kept.
    """
    best = hypotheses[0]
    if not ends_in_loop(best.ids):
        return request, hypotheses
    repeats = is_repetitive(source)
    if repeats and best.finished:
        return request, hypotheses
    retry = replace(request, no_repeat_ngram_size=_RETRY_NGRAM_SIZE)
    retried = yield retry
    is_worse = not retried or (best.finished and not retried[0].finished)
    if is_worse or (repeats and retried[0].score <= best.score):
        return request, hypotheses
    return retry, retried
