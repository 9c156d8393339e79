"""Processors that look at what was written: tokens that must not come now, or must.

Their definitions are Hugging Face's, so that published models' settings mean the same here. Shape
suffixes: R rows, V vocabulary. What is forbidden becomes -inf.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .hypothesis import Processor, Row

_FORBIDDEN = float("-inf")


def suppressed(ids: Sequence[int]) -> Processor:
    """Tokens that never come."""

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        del rows
        columns = torch.tensor(list(ids), device=logits_RV.device)
        return logits_RV.index_fill(1, columns, _FORBIDDEN)

    return process


def suppressed_first(value: tuple[int, Sequence[int]]) -> Processor:
    """Tokens that never come at a place: the first, or the second where the first is forced."""
    place, ids = value

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        return _forbid(logits_RV, [list(ids) if len(row.written) == place else [] for row in rows])

    return process


def bad_words(words: Sequence[Sequence[int]]) -> Processor:
    """Sequences of tokens whose last never follows the others."""

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        return _forbid(
            logits_RV, [[w[-1] for w in words if _ends_with(row, w[:-1])] for row in rows]
        )

    return process


def minimum_length(value: tuple[int, Sequence[int]]) -> Processor:
    """No token of these ends a text of fewer tokens, its prompt (or start token) counted."""
    least, ends = value

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        short = [len(row.prompt) + len(row.written) < least for row in rows]
        return _forbid(logits_RV, [list(ends) if s else [] for s in short])

    return process


def no_repeated_ngrams(size: int) -> Processor:
    """No sequence of `size` tokens comes twice, the prompt's among them; arXiv 1705.04304 §2.5."""

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        return _forbid(logits_RV, [_repeating(row.tokens(), size) for row in rows])

    return process


def repetition_penalty(value: float) -> Processor:
    """Logits of tokens that were there divided by θ where positive, else times it; 1909.05858."""
    if not value > 0:
        raise ValueError(f"repetition-penalty is {value:g}; it must be above 0 (1 is none)")

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        penalized_RV = logits_RV.clone()
        for place, row in enumerate(rows):
            seen = torch.tensor(sorted(set(row.tokens())), device=logits_RV.device)
            chosen = logits_RV[place, seen]
            penalized_RV[place, seen] = torch.where(chosen < 0, chosen * value, chosen / value)
        return penalized_RV

    return process


def forced_first(token: int) -> Processor:
    """The first token is this one."""

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        return _force(logits_RV, [row.written == [] for row in rows], [token])

    return process


def forced_last(tokens: Sequence[int]) -> Processor:
    """The last token that there is room for is one of these."""

    def process(logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        return _force(logits_RV, [len(row.written) + 1 == row.limit for row in rows], tokens)

    return process


def _forbid(logits_RV: Tensor, forbidden: Sequence[Sequence[int]]) -> Tensor:
    """Forbid each row's tokens."""
    places = [(row, token) for row, tokens in enumerate(forbidden) for token in tokens]
    if not places:
        return logits_RV
    rows, tokens = torch.tensor(places, device=logits_RV.device).T
    return logits_RV.index_put((rows, tokens), logits_RV.new_tensor(_FORBIDDEN))


def _force(logits_RV: Tensor, which: Sequence[bool], tokens: Sequence[int]) -> Tensor:
    """Certainty, for some rows, that one of these tokens comes."""
    if not any(which):
        return logits_RV
    certain_V = logits_RV.new_full((logits_RV.size(1),), _FORBIDDEN)
    certain_V[list(tokens)] = 0.0
    which_R1 = torch.tensor(which, device=logits_RV.device)[:, None]
    return torch.where(which_R1, certain_V, logits_RV)


def _ends_with(row: Row, tokens: Sequence[int]) -> bool:
    return not tokens or row.tokens()[-len(tokens) :] == list(tokens)


def _repeating(tokens: list[int], size: int) -> list[int]:
    """What would complete a sequence that is there already."""
    last = tokens[len(tokens) - size + 1 :]
    starts = range(len(tokens) - size + 1)
    return [tokens[i + size - 1] for i in starts if tokens[i : i + size - 1] == last]
