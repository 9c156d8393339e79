"""The registry of logits processors, which change the distribution of the next token.

A processor is a pure function from logits (R, V) and the rows' states to logits.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ...registry import Registry
from ..request import Processor, Request, SequenceState
from .blocking import (
    bad_text,
    bad_words,
    encoder_no_repeated_ngrams,
    forced_first,
    forced_last,
    forced_positions,
    minimum_length,
    no_repeated_ngrams,
    request_constraints,
    suppressed,
    suppressed_first,
)
from .penalties import (
    encoder_repetition_penalty,
    frequency_penalty,
    length_decay,
    presence_penalty,
    renormalized,
    repetition_penalty,
    sequence_bias,
    token_bias,
)
from .truncation import (
    epsilon_cutoff,
    eta_cutoff,
    min_p,
    temperature,
    top_k,
    top_n_sigma,
    top_p,
    typical,
)

# In the order in which they are applied: that of transformers. Of those that it does not have,
# presence and frequency follow repetition, as in vLLM, and top-n-sigma precedes temperature. Either
# order of these two keeps the same tokens, but σ must be that of all logits that are allowed, so
# processors that cut the tail come later.
PROCESSORS: Registry[Callable[[Any], Processor]] = Registry(
    "processor",
    {
        "sequence-bias": sequence_bias,
        "token-bias": token_bias,
        "encoder-repetition-penalty": encoder_repetition_penalty,
        "repetition-penalty": repetition_penalty,
        "frequency-penalty": frequency_penalty,
        "presence-penalty": presence_penalty,
        "no-repeat-ngram": no_repeated_ngrams,
        "encoder-no-repeat-ngram": encoder_no_repeated_ngrams,
        "bad-words": bad_words,
        "bad-text": bad_text,
        "min-length": minimum_length,
        "forced-first": forced_first,
        "forced-last": forced_last,
        "length-decay": length_decay,
        "suppress": suppressed,
        "suppress-first": suppressed_first,
        "forced-positions": forced_positions,
        "request-constraints": request_constraints,
        "top-n-sigma": top_n_sigma,
        "temperature": temperature,
        "top-k": top_k,
        "top-p": top_p,
        "min-p": min_p,
        "typical": typical,
        "epsilon-cutoff": epsilon_cutoff,
        "eta-cutoff": eta_cutoff,
        "renormalize": renormalized,
    },
)


class LogitsProcessorList:
    """The processors that have a value, as one, in the registry's order."""

    def __init__(self, values: Mapping[str, Any], end_ids: Collection[int] = ()) -> None:
        settings = {**values, "request-constraints": sorted(end_ids)}
        processors = {
            name: factory(settings[name])
            for name, factory in PROCESSORS.items()
            if settings.get(name) is not None
        }
        self._constrained = list(processors.values())
        self._unconstrained = [processors[name] for name in processors if name in values]

    def __call__(
        self,
        logits_RV: Tensor,
        rows: Sequence[SequenceState],
        requests: Iterable[Request] | None = None,
    ) -> Tensor:
        """Return the processed logits; the very same tensor where nothing changes.

        `requests` are those of the rows, for a caller whose rows are costly to read.
        """
        requests = (row.request for row in rows) if requests is None else requests
        is_constrained = any(request.has_constraints for request in requests)
        for processor in self._constrained if is_constrained else self._unconstrained:
            logits_RV = processor(logits_RV, rows)
        return logits_RV
