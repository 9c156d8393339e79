"""Processors that forbid or force tokens, depending on the text so far.

Their definitions are Hugging Face's, so that published models' settings mean the same here. Shape
suffixes: R rows, V vocabulary. A forbidden token's logit is -inf.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from msgspec import Meta
from torch import Tensor

from ...bounds import check_number
from ..request import Processor, Request, SequenceState

_FORBIDDEN = float("-inf")
_SIZE = Meta(ge=1, multiple_of=1)


def suppressed(ids: Sequence[int]) -> Processor:
    """Forbid tokens everywhere."""
    columns_by_device: dict[torch.device, Tensor] = {}  # copied once: a step waits for nothing

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        columns = columns_by_device.get(logits_RV.device)
        if columns is None:
            columns = torch.tensor(list(ids), device=logits_RV.device)
            columns_by_device[logits_RV.device] = columns
        return logits_RV.index_fill(1, columns, _FORBIDDEN)

    return process


def suppressed_first(value: tuple[int, Sequence[int]]) -> Processor:
    """Forbid tokens at one position: the first, or the second where the first is forced.

    The number beside the ids is 1 if the model forces a first token, else 0.
    """
    is_forced, ids = value

    def position(request: Request) -> int:
        forced = request.forced_first is not None or (is_forced and len(request.prompt) == 1)
        return int(forced)

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        first = [len(row.generated_ids) == position(row.request) for row in rows]
        return _forbid(logits_RV, [list(ids) if is_first else [] for is_first in first])

    return process


def bad_words(words: Sequence[Sequence[int]]) -> Processor:
    """Forbid the last token of each sequence after its other tokens."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        texts = [row.all_ids() for row in rows]
        return _forbid(
            logits_RV, [[w[-1] for w in words if ends_with(text, w[:-1])] for text in texts]
        )

    return process


def bad_text(completing: Callable[[SequenceState], Sequence[int]]) -> Processor:
    """Forbid the tokens with which a row's text would have a word that it must not have."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        return _forbid(logits_RV, [completing(row) for row in rows])

    return process


def minimum_length(value: tuple[int, Sequence[int]]) -> Processor:
    """Forbid end tokens in texts of fewer tokens, the prompt (or start token) counted."""
    min_length, end_ids = value

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        short = [len(row.request.prompt) + len(row.generated_ids) < min_length for row in rows]
        return _forbid(logits_RV, [list(end_ids) if s else [] for s in short])

    return process


def no_repeated_ngrams(size: int) -> Processor:
    """Forbid any n-gram that has occurred before, in prompt or text; arXiv 1705.04304 §2.5."""
    check_number("no-repeat-ngram", size, _SIZE)

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        return _forbid(logits_RV, [_repeated_ngram_ends(row.all_ids(), size) for row in rows])

    return process


def encoder_no_repeated_ngrams(size: int) -> Processor:
    """Forbid the n-grams of the source."""
    check_number("encoder-no-repeat-ngram", size, _SIZE)

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        vocab_size = logits_RV.size(1)  # an encoder's may be another, and larger
        completions = [_ngram_ends(row.all_ids(), row.request.context_ids, size) for row in rows]
        return _forbid(logits_RV, [[t for t in tokens if t < vocab_size] for tokens in completions])

    return process


def forced_first(token: int) -> Processor:
    """Force the token after a prompt of one token, such as the start token of a decoder."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        lengths = (len(row.request.prompt) + len(row.generated_ids) for row in rows)
        return _force(logits_RV, [[token] if length == 1 else None for length in lengths])

    return process


def forced_last(tokens: Sequence[int]) -> Processor:
    """Force the last token that max_new_tokens allows to be one of these."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        last = [len(row.generated_ids) + 1 == row.request.max_new_tokens for row in rows]
        return _force(logits_RV, [tokens if is_last else None for is_last in last])

    return process


def forced_positions(tokens: Mapping[int, int]) -> Processor:
    """Force the tokens of some positions, which are counted from the prompt's first token."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        lengths = [len(row.request.prompt) + len(row.generated_ids) for row in rows]
        return _force(logits_RV, [[tokens[n]] if n in tokens else None for n in lengths])

    return process


def request_constraints(end_ids: Sequence[int]) -> Processor:
    """Apply the constraints of each row's own request."""

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        masked_RV = _forbid(logits_RV, [_blocked_ids(row, end_ids) for row in rows])
        masked_RV = _keep_only(masked_RV, masked_RV, [_constraint_ids(row) for row in rows])
        masked_RV = _keep_only(masked_RV, logits_RV, [_prefix_ids(row) for row in rows])
        return _force(masked_RV, [_forced_first_ids(row) for row in rows])

    return process


def _constraint_ids(row: SequenceState) -> Tensor | None:
    constraint = row.request.constraint
    return None if constraint is None else constraint(row.text_ids)


def _forced_first_ids(row: SequenceState) -> list[int] | None:
    token = row.request.forced_first
    return None if row.generated_ids or token is None else [token]


def _blocked_ids(row: SequenceState, end_ids: Sequence[int]) -> list[int]:
    blocked = list(end_ids) if len(row.text_ids) < row.request.min_new_tokens else []
    size = row.request.no_repeat_ngram_size
    return blocked + (_repeated_ngram_ends(row.all_ids(), size) if size else [])


def _prefix_ids(row: SequenceState) -> Tensor | None:
    """Return the prefix's token for this position, counted after a forced first token."""
    position = len(row.generated_ids) - (row.request.forced_first is not None)
    within_prefix = 0 <= position < len(row.request.prefix)
    return torch.tensor([row.request.prefix[position]]) if within_prefix else None


def _forbid(logits_RV: Tensor, forbidden: Sequence[Sequence[int]]) -> Tensor:
    """Forbid each row's tokens."""
    entries = [(row, token) for row, tokens in enumerate(forbidden) for token in tokens]
    if not entries:
        return logits_RV
    rows, tokens = torch.tensor(entries, device=logits_RV.device).T
    return logits_RV.index_put((rows, tokens), logits_RV.new_tensor(_FORBIDDEN))


def _keep_only(masked_RV: Tensor, logits_RV: Tensor, allowed: Sequence[Tensor | None]) -> Tensor:
    """Forbid all but the allowed tokens, which get `logits_RV`; rows of None stay as they are."""
    if all(ids is None for ids in allowed):
        return masked_RV
    kept_RV = masked_RV.clone()
    for row, ids in enumerate(allowed):
        if ids is not None:
            kept_RV[row] = _FORBIDDEN
            kept_RV[row, ids] = logits_RV[row, ids]
    return kept_RV


def _force(logits_RV: Tensor, forced: Sequence[Sequence[int] | None]) -> Tensor:
    """Forbid all but these tokens, which get equal logits; rows of None stay as they are."""
    certain_RV = logits_RV.new_zeros(()).expand_as(logits_RV)
    ids = [None if tokens is None else torch.tensor(list(tokens)) for tokens in forced]
    return _keep_only(logits_RV, certain_RV, ids)


def ends_with(tokens: Sequence[int], end: Sequence[int]) -> bool:
    """Return True if `tokens` end with `end`; with an empty one they always do."""
    return not end or tokens[-len(end) :] == list(end)


def _repeated_ngram_ends(tokens: list[int], size: int) -> list[int]:
    """Return the tokens that would complete an n-gram of the text once more."""
    return _ngram_ends(tokens, tokens, size)


def _ngram_ends(tokens: list[int], source: Sequence[int], size: int) -> list[int]:
    """Return the tokens that would complete an n-gram of the source."""
    last, source = tokens[max(0, len(tokens) - size + 1) :], list(source)
    starts = range(len(source) - size + 1) if len(last) == size - 1 else ()
    return [source[i + size - 1] for i in starts if source[i : i + size - 1] == last]
