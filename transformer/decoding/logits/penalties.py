"""Processors that raise or lower logits: of earlier tokens, the source's, chosen ones, ends.

Where Hugging Face has the same processor, the definition is theirs, so that published models'
settings mean the same here; but a batch's padding is no part of a source. Shape suffixes: R rows, V
vocabulary, P entries (a row and a token), S selected tokens of every row.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

import torch
from msgspec import Meta
from torch import Tensor

from ...bounds import check_number
from ...errors import ConfigError
from ..request import Processor, SequenceState
from .blocking import ends_with

_FORBIDDEN = float("-inf")
_FACTOR = Meta(gt=0, description="1 is none")
BIAS = Meta(ge=-1e9, le=1e9, description="or -inf")  # float32 keeps no logit beyond
_MAX_EXPONENT = 60.0  # e^60 times a logit means certainty, and fits float32


def renormalized(value: bool) -> Processor:
    """Make the logits log-probabilities again after all other processors, with True."""
    if not value:
        return lambda logits_RV, rows: logits_RV
    return lambda logits_RV, rows: logits_RV.log_softmax(-1)


def repetition_penalty(value: float) -> Processor:
    """Divide earlier tokens' logits by θ where positive, else multiply; arXiv 1909.05858."""
    check_number("repetition-penalty", value, _FACTOR)
    return lambda logits_RV, rows: _scale(logits_RV, [row.all_ids() for row in rows], value)


def encoder_repetition_penalty(value: float) -> Processor:
    """Penalise the source's tokens by the reciprocal: above 1 they become likelier."""
    check_number("encoder-repetition-penalty", value, _FACTOR)
    return lambda logits_RV, rows: _scale(
        logits_RV, [row.request.context_ids for row in rows], 1 / value
    )


def presence_penalty(value: float) -> Processor:
    """Subtract α from logits of generated tokens, without the prompt's; OpenAI's definition."""
    check_number("presence-penalty", value, Meta(description="0 is none"))

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        return _add_amounts(logits_RV, [dict.fromkeys(row.generated_ids, -value) for row in rows])

    return process


def frequency_penalty(value: float) -> Processor:
    """Subtract `α·n` from logits of tokens generated n times, without the prompt's; OpenAI's."""
    check_number("frequency-penalty", value, Meta(description="0 is none"))

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        counts = [Counter(row.generated_ids) for row in rows]
        return _add_amounts(
            logits_RV, [{t: -value * n for t, n in row_counts.items()} for row_counts in counts]
        )

    return process


def token_bias(value: Mapping[int, float]) -> Processor:
    """Add a bias to chosen tokens' logits; -inf forbids a token."""
    for token, bias in value.items():
        _check_bias("token-bias", [token], bias)
    ids, biases = list(value), list(value.values())

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        del rows
        if ids and max(ids) >= logits_RV.size(1):
            raise ConfigError(
                f"token-bias names the token {max(ids)}; "
                f"the vocabulary has {logits_RV.size(1):,} tokens"
            )
        columns_S = torch.tensor(ids, dtype=torch.long, device=logits_RV.device)
        biases_RS = logits_RV.new_tensor(biases).expand(len(logits_RV), -1)
        return logits_RV.index_add(1, columns_S, biases_RS)

    return process


def sequence_bias(value: Sequence[tuple[Sequence[int], float]]) -> Processor:
    """Add a bias to the last token of a sequence where the text ends with its other tokens."""
    biases = {tuple(ids): bias for ids, bias in value}
    for ids, bias in biases.items():
        _check_bias("sequence-bias", ids, bias)
    add_single = token_bias({ids[0]: bias for ids, bias in biases.items() if len(ids) == 1})
    longer = [(ids[:-1], ids[-1], bias) for ids, bias in biases.items() if len(ids) > 1]

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        amounts: list[dict[int, float]] = [{} for _ in rows]
        for row, row_amounts in zip(rows, amounts, strict=True):
            tokens = row.all_ids()
            for prefix, last, bias in longer:
                if ends_with(tokens, prefix):
                    row_amounts[last] = row_amounts.get(last, 0.0) + bias
        return _add_amounts(add_single(logits_RV, rows), amounts)

    return process


def length_decay(value: tuple[int, float, Collection[int]]) -> Processor:
    """Add `|x|·(f^(n - s) - 1)` to end tokens' logits x, once n > s tokens are generated."""
    start, factor, end_ids = value
    check_number("the start of length-decay", start, Meta(ge=0))
    check_number("the factor of length-decay", factor, _FACTOR)
    rate = math.log(factor)

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        excess = [max(0, len(row.generated_ids) - start) for row in rows]
        if not any(excess):
            return logits_RV
        growth_R1 = logits_RV.new_tensor(
            [[math.expm1(min(n * rate, _MAX_EXPONENT))] for n in excess]
        )
        columns_S = torch.tensor(sorted(set(end_ids)), dtype=torch.long, device=logits_RV.device)
        chosen_RS = logits_RV[:, columns_S]
        added_RS = (chosen_RS.abs() * growth_R1).masked_fill(chosen_RS.isinf(), 0.0)
        return logits_RV.index_add(1, columns_S, added_RS)

    return process


def _check_bias(name: str, ids: Sequence[int], bias: float) -> None:
    if not ids or min(ids) < 0:
        raise ConfigError(f"{name} is for {list(ids)}; it must be for ids of the vocabulary")
    if bias != _FORBIDDEN:
        check_number(f"{name} of {', '.join(map(str, ids))}", bias, BIAS)


def _scale(logits_RV: Tensor, tokens: Sequence[Sequence[int]], value: float) -> Tensor:
    """Divide the logits of each row's tokens by a value where positive, else multiply.

    Ids of a source beyond the vocabulary (an encoder's may be another) are left out.
    """
    size = logits_RV.size(1)
    entries = _entries([{t for t in row_tokens if t < size} for row_tokens in tokens], logits_RV)
    chosen_P = logits_RV[entries]
    scaled_P = torch.where(chosen_P < 0, chosen_P * value, chosen_P / value)
    return logits_RV.index_put(entries, scaled_P)


def _add_amounts(logits_RV: Tensor, amounts: Sequence[Mapping[int, float]]) -> Tensor:
    """Add each row's amounts to the logits of its tokens."""
    if not any(amounts):
        return logits_RV
    added_P = logits_RV.new_tensor(
        [*chain.from_iterable(row_amounts.values() for row_amounts in amounts)]
    )
    return logits_RV.index_put(_entries(amounts, logits_RV), added_P, accumulate=True)


def _entries(tokens: Sequence[Collection[int]], logits_RV: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows and the ids (P) of each row's tokens, which must be distinct."""
    counts_R = torch.tensor([len(row_tokens) for row_tokens in tokens])
    rows_P = torch.arange(len(tokens)).repeat_interleave(counts_R)
    ids_P = torch.tensor([*chain.from_iterable(tokens)], dtype=torch.long)
    return rows_P.to(logits_RV.device), ids_P.to(logits_RV.device)
