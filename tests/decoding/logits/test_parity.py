"""Every processor does what transformers' own does, or where it has none what a formula says."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.generation import logits_process as references

from transformer.decoding.logits.processors import PROCESSORS
from transformer.decoding.request import Request, SequenceState

Reference = Callable[[Tensor, Tensor], Tensor]
VOCABULARY, BIASES = 9, [([3], 0.7), ([4], -2.0), ([2, 4], 1.5), ([1, 4], -0.5), ([1, 2, 3], 4.0)]


def less_by_count(amount: Callable[[int], float]) -> Reference:
    """Takes `amount(n)` from the logit of a token that was written n times; the first is given."""

    def process(ids_RT: Tensor, logits_RV: Tensor) -> Tensor:
        for row, ids in enumerate(ids_RT[:, 1:].tolist()):
            for token in range(VOCABULARY):
                logits_RV[row, token] -= amount(ids.count(token))
        return logits_RV

    return process


def top_n_sigma(value: float) -> Reference:
    def process(ids_RT: Tensor, logits_RV: Tensor) -> Tensor:
        del ids_RT
        for row in logits_RV:
            left = row[row > -math.inf]
            row[row < left.max() - value * left.std(correction=0)] = -math.inf
        return logits_RV

    return process


def forced_at(tokens: dict[int, int]) -> Reference:
    """forced_decoder_ids, as they were in transformers 4."""

    def process(ids_RT: Tensor, logits_RV: Tensor) -> Tensor:
        token = tokens.get(ids_RT.shape[1])
        if token is not None:
            logits_RV[:] = -math.inf
            logits_RV[:, token] = 0.0
        return logits_RV

    return process


def of_source(make: Callable[..., Any], value: Any) -> Callable[[Tensor], Reference]:
    return lambda sources_RS: make(value, sources_RS)


# A value, and what makes the reference of it for the sources of all rows, or for any.
OF_SOURCE: dict[str, tuple[Any, Callable[[Tensor], Reference]]] = {
    "encoder-repetition-penalty": (
        1.7,
        of_source(references.EncoderRepetitionPenaltyLogitsProcessor, 1.7),
    ),
    "encoder-no-repeat-ngram": (2, of_source(references.EncoderNoRepeatNGramLogitsProcessor, 2)),
}
REFERENCES: dict[str, tuple[Any, Callable[[], Reference]]] = {
    "sequence-bias": (
        BIASES,
        lambda: references.SequenceBiasLogitsProcessor([[ids, bias] for ids, bias in BIASES]),
    ),
    "token-bias": (
        {3: 0.7, 4: -math.inf},
        lambda: references.SequenceBiasLogitsProcessor({(3,): 0.7, (4,): -math.inf}),
    ),
    "repetition-penalty": (1.7, lambda: references.RepetitionPenaltyLogitsProcessor(1.7)),
    "frequency-penalty": (0.4, lambda: less_by_count(lambda count: 0.4 * count)),
    "presence-penalty": (0.4, lambda: less_by_count(lambda count: 0.4 * (count > 0))),
    "no-repeat-ngram": (2, lambda: references.NoRepeatNGramLogitsProcessor(2)),
    "bad-words": (
        [[5], [2, 3], [1, 1, 4]],
        lambda: references.NoBadWordsLogitsProcessor([[5], [2, 3], [1, 1, 4]], eos_token_id=0),
    ),
    "bad-text": (
        lambda row: [2, 7],
        lambda: references.SuppressTokensLogitsProcessor([2, 7]),
    ),
    "min-length": ((6, [0]), lambda: references.MinLengthLogitsProcessor(6, torch.tensor([0]))),
    "forced-first": (3, lambda: references.ForcedBOSTokenLogitsProcessor(3)),
    "forced-last": ([0], lambda: references.ForcedEOSTokenLogitsProcessor(8, torch.tensor([0]))),
    "length-decay": (
        (2, 1.4, [0, 5]),
        lambda: references.ExponentialDecayLengthPenalty((2, 1.4), [0, 5], 1),
    ),
    "suppress": ([2, 7], lambda: references.SuppressTokensLogitsProcessor([2, 7])),
    "suppress-first": (
        (0, [2, 7]),
        lambda: references.SuppressTokensAtBeginLogitsProcessor([2, 7], 1),
    ),
    "forced-positions": ({2: 3, 5: 1}, lambda: forced_at({2: 3, 5: 1})),
    "renormalize": (True, references.LogitNormalization),
    "request-constraints": ([], lambda: lambda ids_RT, logits_RV: logits_RV),
    "top-n-sigma": (0.8, lambda: top_n_sigma(0.8)),
    "temperature": (0.7, lambda: references.TemperatureLogitsWarper(0.7)),
    "top-k": (3, lambda: references.TopKLogitsWarper(3)),
    "top-p": (0.6, lambda: references.TopPLogitsWarper(0.6)),
    "min-p": (0.2, lambda: references.MinPLogitsWarper(0.2)),
    "typical": (0.6, lambda: references.TypicalLogitsWarper(0.6)),
    "epsilon-cutoff": (0.1, lambda: references.EpsilonLogitsWarper(0.1)),
    "eta-cutoff": (0.3, lambda: references.EtaLogitsWarper(0.3)),
}


def distribution(*, some_forbidden: bool) -> Tensor:
    logits_RV = torch.randn(6, VOCABULARY) * 2
    if some_forbidden:
        logits_RV[torch.rand(6, VOCABULARY) < 0.3] = -math.inf
        logits_RV[:, 8] = 0.0
    return logits_RV.log_softmax(-1)


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("some_forbidden", [False, True])
def test_processors_do_what_those_of_transformers_do(name: str, some_forbidden: bool) -> None:
    """Texts of one to seven tokens from a small vocabulary, so that much is repeated."""
    torch.manual_seed(0)
    changed = False
    for length in range(1, 8):
        ids_RT, sources_RS = torch.randint(1, 5, (6, length)), torch.randint(1, 5, (6, 4))
        if name in OF_SOURCE:
            value, make = OF_SOURCE[name][0], lambda: OF_SOURCE[name][1](sources_RS)  # noqa: B023
        else:
            value, make = REFERENCES[name]
        logits_RV = distribution(some_forbidden=some_forbidden)
        rows = [
            SequenceState(Request(prompt=ids[:1], max_new_tokens=7, source=source), ids[1:])
            for ids, source in zip(ids_RT.tolist(), sources_RS.tolist(), strict=True)
        ]
        found, wanted = PROCESSORS[name](value)(logits_RV, rows), make()(ids_RT, logits_RV.clone())
        assert torch.equal(found.isneginf(), wanted.isneginf())
        torch.testing.assert_close(found.softmax(-1), wanted.softmax(-1), atol=1e-6, rtol=0)
        changed |= not torch.equal(found, logits_RV)
    if name != "renormalize":  # which changes no distribution, but its sum
        assert changed == (name != "request-constraints")


@pytest.mark.parametrize("name", OF_SOURCE)
def test_a_prompt_is_the_source_where_there_is_no_encoder(name: str) -> None:
    torch.manual_seed(0)
    value, make = OF_SOURCE[name]
    for length in range(1, 8):
        ids_RT, logits_RV = torch.randint(1, 5, (6, 4 + length)), distribution(some_forbidden=False)
        rows = [
            SequenceState(Request(prompt=ids[:4], max_new_tokens=9), ids[4:])
            for ids in ids_RT.tolist()
        ]
        found = PROCESSORS[name](value)(logits_RV, rows)
        wanted = make(ids_RT[:, :4])(ids_RT, logits_RV.clone())
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ngrams_of_any_size_are_those_of_transformers(size: int) -> None:
    torch.manual_seed(0)
    for length in range(1, 6):
        ids_RT, sources_RS = torch.randint(1, 4, (6, length)), torch.randint(1, 4, (6, 9))
        pairs = zip(ids_RT.tolist(), sources_RS.tolist(), strict=True)
        rows = [
            SequenceState(Request(prompt=ids[:1], max_new_tokens=9, source=s), ids[1:])
            for ids, s in pairs
        ]
        logits_RV = distribution(some_forbidden=False)
        for name, theirs in {
            "no-repeat-ngram": references.NoRepeatNGramLogitsProcessor(size),
            "encoder-no-repeat-ngram": references.EncoderNoRepeatNGramLogitsProcessor(
                size, sources_RS
            ),
        }.items():
            found = PROCESSORS[name](size)(logits_RV, rows)
            assert torch.equal(found, theirs(ids_RT, logits_RV.clone()))


@pytest.mark.parametrize("value", [0.05, 0.3, 0.95, 0.999])
def test_what_cuts_a_long_tail_cuts_it_where_transformers_does(value: float) -> None:
    torch.manual_seed(0)
    logits_RV = torch.randn(8, 5000) * 3
    for name, theirs in {
        "typical": references.TypicalLogitsWarper(value),
        "epsilon-cutoff": references.EpsilonLogitsWarper(value / 100),
        "eta-cutoff": references.EtaLogitsWarper(value / 100),
    }.items():
        asked = value if name == "typical" else value / 100
        found = PROCESSORS[name](asked)(logits_RV, [])
        assert torch.equal(found, theirs(None, logits_RV.clone())), name
