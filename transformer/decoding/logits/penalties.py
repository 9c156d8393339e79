"""Processors that make tokens likelier or less likely: those that were there, the source's, chosen
ones, ends.

Where Hugging Face has the same, the definition is theirs, so that published models' settings mean
the same here; but the padding of a batch is no part of a source. Shape suffixes: R rows, V
vocabulary, P places (a row and a token), S some tokens of every row.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

from ...errors import ConfigError
from ..bounds import check
from ..request import Processor, SequenceState
from .blocking import ends_with

_FORBIDDEN = float("-inf")
_LARGEST = 1e9  # of a bias: float32 keeps nothing of the logit that is added to more
_CERTAIN = 60.0  # e^60 times a logit is certainty, and float32 can hold it


def repetition_penalty(value: float) -> Processor:
    """Logits of tokens that were there divided by θ where positive, else times it; 1909.05858."""
    check("repetition-penalty", 0 < value < math.inf, value, "above 0 (1 is none)")
    return lambda logits_RV, rows: _scaled(logits_RV, [row.all_ids() for row in rows], value)


def encoder_repetition_penalty(value: float) -> Processor:
    """A repetition penalty's reverse, for the source's tokens: above 1 they become likelier."""
    check("encoder-repetition-penalty", 0 < value < math.inf, value, "above 0 (1 is none)")
    return lambda logits_RV, rows: _scaled(
        logits_RV, [row.request.context_ids for row in rows], 1 / value
    )


def presence_penalty(value: float) -> Processor:
    """`logit - α` of tokens that were written, the prompt's not among them; OpenAI's definition."""
    check("presence-penalty", math.isfinite(value), value, "a finite number (0 is none)")

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        return _add(logits_RV, [dict.fromkeys(row.generated_ids, -value) for row in rows])

    return process


def frequency_penalty(value: float) -> Processor:
    """`logit - α·n` of tokens that were written n times, the prompt left out; OpenAI's."""
    check("frequency-penalty", math.isfinite(value), value, "a finite number (0 is none)")

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        counts = [Counter(row.generated_ids) for row in rows]
        return _add(logits_RV, [{t: -value * n for t, n in some.items()} for some in counts])

    return process


def token_bias(value: Mapping[int, float]) -> Processor:
    """`logit + b` of some tokens; -inf forbids one."""
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
    """`logit + b` of the last token of a sequence whose others were just written."""
    biases = {tuple(ids): bias for ids, bias in value}
    for ids, bias in biases.items():
        _check_bias("sequence-bias", ids, bias)
    always = token_bias({ids[0]: bias for ids, bias in biases.items() if len(ids) == 1})
    longer = [(ids[:-1], ids[-1], bias) for ids, bias in biases.items() if len(ids) > 1]

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        amounts: list[dict[int, float]] = [{} for _ in rows]
        for row, some in zip(rows, amounts, strict=True):
            tokens = row.all_ids()
            for before, last, bias in longer:
                if ends_with(tokens, before):
                    some[last] = some.get(last, 0.0) + bias
        return _add(always(logits_RV, rows), amounts)

    return process


def length_decay(value: tuple[int, float, Collection[int]]) -> Processor:
    """`x + |x|·(f^(n - s) - 1)` for the logits of ends, once n > s tokens are written."""
    start, factor, ends = value
    check("the start of length-decay", start >= 0, start, "at least 0")
    check("the factor of length-decay", 0 < factor < math.inf, factor, "above 0 (1 is none)")
    rate = math.log(factor)

    def process(logits_RV: Tensor, rows: Sequence[SequenceState]) -> Tensor:
        excess = [max(0, len(row.generated_ids) - start) for row in rows]
        if not any(excess):
            return logits_RV
        growth_R1 = logits_RV.new_tensor([[math.expm1(min(n * rate, _CERTAIN))] for n in excess])
        columns_S = torch.tensor(sorted(set(ends)), dtype=torch.long, device=logits_RV.device)
        chosen_RS = logits_RV[:, columns_S]
        added_RS = (chosen_RS.abs() * growth_R1).masked_fill(chosen_RS.isinf(), 0.0)
        return logits_RV.index_add(1, columns_S, added_RS)

    return process


def _check_bias(name: str, ids: Sequence[int], bias: float) -> None:
    if not ids or min(ids) < 0:
        raise ConfigError(f"{name} is for {list(ids)}; it must be for ids of the vocabulary")
    good = bias == _FORBIDDEN or abs(bias) <= _LARGEST
    shown = ", ".join(map(str, ids))
    check(f"{name} of {shown}", good, bias, f"at most {_LARGEST:g} either way, or -inf")


def _scaled(logits_RV: Tensor, tokens: Sequence[Sequence[int]], value: float) -> Tensor:
    """Divide each row's tokens by a value where positive, else multiply. What a source has beyond
    the vocabulary (an encoder's may be another) cannot be written."""
    size = logits_RV.size(1)
    places = _places([{t for t in some if t < size} for some in tokens], logits_RV)
    chosen_P = logits_RV[places]
    scaled_P = torch.where(chosen_P < 0, chosen_P * value, chosen_P / value)
    return logits_RV.index_put(places, scaled_P)


def _add(logits_RV: Tensor, amounts: Sequence[Mapping[int, float]]) -> Tensor:
    """Add to each row's tokens."""
    if not any(amounts):
        return logits_RV
    added_P = logits_RV.new_tensor([*chain.from_iterable(some.values() for some in amounts)])
    return logits_RV.index_put(_places(amounts, logits_RV), added_P, accumulate=True)


def _places(tokens: Sequence[Collection[int]], logits_RV: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and the ids (P) of each row's tokens, which differ from one another."""
    counts_R = torch.tensor([len(some) for some in tokens])
    rows_P = torch.arange(len(tokens)).repeat_interleave(counts_R)
    ids_P = torch.tensor([*chain.from_iterable(tokens)], dtype=torch.long)
    return rows_P.to(logits_RV.device), ids_P.to(logits_RV.device)
