"""Processors that look at what was written: tokens that must not come now, or must.

Their definitions are Hugging Face's, so that published models' settings mean the same here. Shape
suffixes: R rows, V vocabulary. What is forbidden becomes -inf.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..bounds import check_size
from ..request import Processor, SequenceState

_FORBIDDEN = float("-inf")


def suppressed(ids: Sequence[int]) -> Processor:
    """Tokens that never come."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        columns = torch.tensor(list(ids), device=logits_RV.device)
        return logits_RV.index_fill(1, columns, _FORBIDDEN)

    return process


def suppressed_first(value: tuple[int, Sequence[int]]) -> Processor:
    """Tokens that never come at a place: the first, or the second where the first is forced."""
    place, ids = value

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        return _forbid(
            logits_RV, [list(ids) if len(row.generated_ids) == place else [] for row in rows]
        )

    return process


def bad_words(words: Sequence[Sequence[int]]) -> Processor:
    """Sequences of tokens whose last never follows the others."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        texts = [row.all_ids() for row in rows]
        return _forbid(
            logits_RV, [[w[-1] for w in words if ends_with(text, w[:-1])] for text in texts]
        )

    return process


def minimum_length(value: tuple[int, Sequence[int]]) -> Processor:
    """No token of these ends a text of fewer tokens, its prompt (or start token) counted."""
    least, ends = value

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        short = [len(row.request.prompt) + len(row.generated_ids) < least for row in rows]
        return _forbid(logits_RV, [list(ends) if s else [] for s in short])

    return process


def no_repeated_ngrams(size: int) -> Processor:
    """No sequence of `size` tokens comes twice, the prompt's among them; arXiv 1705.04304 §2.5."""
    check_size("no-repeat-ngram", size)

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        return _forbid(logits_RV, [_repeating(row.all_ids(), size) for row in rows])

    return process


def encoder_no_repeated_ngrams(size: int) -> Processor:
    """No sequence of `size` tokens of the source is written."""
    check_size("encoder-no-repeat-ngram", size)

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        known = logits_RV.size(1)  # an encoder's vocabulary may be another, and larger
        found = [_following(row.all_ids(), row.request.context_ids, size) for row in rows]
        return _forbid(logits_RV, [[t for t in some if t < known] for some in found])

    return process


def forced_first(token: int) -> Processor:
    """The first token is this one."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        return _force(logits_RV, [None if row.generated_ids else [token] for row in rows])

    return process


def forced_last(tokens: Sequence[int]) -> Processor:
    """The last token that there is room for is one of these."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        last = [len(row.generated_ids) + 1 == row.request.max_new_tokens for row in rows]
        return _force(logits_RV, [tokens if there else None for there in last])

    return process


def request_constraints(ends: Sequence[int]) -> Processor:
    """What each text's own task asks of it."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        left_RV = _forbid(logits_RV, [_forbidden(row, ends) for row in rows])
        left_RV = _allow(left_RV, left_RV, [_constrained(row) for row in rows])
        left_RV = _allow(left_RV, logits_RV, [_prefix(row) for row in rows])
        return _force(left_RV, [_first(row) for row in rows])

    return process


def _constrained(row: SequenceState) -> Tensor | None:
    rule = row.request.constraint
    return None if rule is None else rule(row.text_ids)


def _first(row: SequenceState) -> list[int] | None:
    return (
        None
        if row.generated_ids or row.request.forced_first is None
        else [row.request.forced_first]
    )


def _forbidden(row: SequenceState, ends: Sequence[int]) -> list[int]:
    short = list(ends) if len(row.text_ids) < row.request.min_new_tokens else []
    return short + (
        _repeating(row.all_ids(), row.request.no_repeat_ngram_size)
        if row.request.no_repeat_ngram_size
        else []
    )


def _prefix(row: SequenceState) -> Tensor | None:
    """The token of its prefix that comes now; of a token that is forced to be first it knows
    nothing."""
    place = len(row.generated_ids) - (row.request.forced_first is not None)
    here = 0 <= place < len(row.request.prefix)
    return torch.tensor([row.request.prefix[place]]) if here else None


def _forbid(logits_RV: Tensor, forbidden: Sequence[Sequence[int]]) -> Tensor:
    """Forbid each row's tokens."""
    places = [(row, token) for row, tokens in enumerate(forbidden) for token in tokens]
    if not places:
        return logits_RV
    rows, tokens = torch.tensor(places, device=logits_RV.device).T
    return logits_RV.index_put((rows, tokens), logits_RV.new_tensor(_FORBIDDEN))


def _allow(left_RV: Tensor, logits_RV: Tensor, allowed: Sequence[Tensor | None]) -> Tensor:
    """Leave some rows nothing but the logits of what is allowed."""
    if all(ids is None for ids in allowed):
        return left_RV
    found_RV = left_RV.clone()
    for row, ids in enumerate(allowed):
        if ids is not None:
            found_RV[row] = _FORBIDDEN
            found_RV[row, ids] = logits_RV[row, ids]
    return found_RV


def _force(logits_RV: Tensor, forced: Sequence[Sequence[int] | None]) -> Tensor:
    """Certainty, for some rows, that one of these tokens comes."""
    certain_RV = logits_RV.new_zeros(()).expand_as(logits_RV)
    ids = [None if tokens is None else torch.tensor(list(tokens)) for tokens in forced]
    return _allow(logits_RV, certain_RV, ids)


def ends_with(tokens: Sequence[int], end: Sequence[int]) -> bool:
    """Whether these are the last of the tokens; none always are."""
    return not end or tokens[-len(end) :] == list(end)


def _repeating(tokens: list[int], size: int) -> list[int]:
    """What would complete a sequence that is there already."""
    return _following(tokens, tokens, size)


def _following(tokens: list[int], source: Sequence[int], size: int) -> list[int]:
    """What would complete a sequence of the source."""
    last, source = tokens[max(0, len(tokens) - size + 1) :], list(source)
    starts = range(len(source) - size + 1) if len(last) == size - 1 else ()
    return [source[i + size - 1] for i in starts if source[i : i + size - 1] == last]
