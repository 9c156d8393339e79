"""Requests, and the events that a search returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

# An end token, max_new_tokens, a stop string; no token that processors and constraints allow, and
# a request that was dropped: the last two are of no hypothesis.
FinishReason = Literal["end", "length", "stop", "no_valid_token", "cancelled"]


# A constraint on a whole text, such as a grammar: from its ids to the ids (n) that may follow;
# None: all may. A pure function, for beams share their beginnings.
Constraint = Callable[[Sequence[int]], Tensor | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """One text to generate."""

    prompt: Sequence[int]  # decoder tokens before the text: the start token, or a prompt
    max_new_tokens: int
    source: Sequence[int] = ()  # encoder tokens
    global_tokens: Sequence[int] | None = None  # indices in the source; None: its first token
    is_cut: bool = False  # the prompt's beginning was dropped
    rng_key: tuple[int, ...] = (0,)  # with the seed, determines sampling's random numbers
    min_new_tokens: int = 0  # no end token before this many tokens
    forced_first: int | None = None  # adds nothing to a score
    prefix: Sequence[int] = ()  # tokens that are forced after that
    constraint: Constraint | None = None
    no_repeat_ngram_size: int = 0  # no n-gram of this size occurs twice; 0: all may
    previous_context: "PreviousContext | None" = None  # continued where the context was full
    seed: int = 0
    stop: "Callable[[SequenceState], bool] | None" = None  # True: the sequence ends here
    stream: bool = False  # report each token as soon as it is decided

    @property
    def previous_ids(self) -> Sequence[int]:
        """Ids generated in earlier contexts; the last of them are in the prompt."""
        return () if self.previous_context is None else self.previous_context.ids

    @property
    def has_constraints(self) -> bool:
        """True if the processor `request-constraints` has something to do for this request."""
        own: tuple[object, ...] = (self.min_new_tokens, self.prefix, self.constraint)
        return self.forced_first is not None or any(own) or self.no_repeat_ngram_size > 0

    @property
    def context_ids(self) -> Sequence[int]:
        """The source, or the prompt of a model without an encoder."""
        return self.source or self.prompt


class PreviousContext(NamedTuple):
    """The text so far, of which a full context has dropped the beginning."""

    prompt: Sequence[int]
    ids: list[int]
    log_probabilities: list[float]
    prefix: Sequence[int] = ()  # with which it begins


class SequenceState(NamedTuple):
    """One sequence while it is generated."""

    request: Request
    generated_ids: list[int]
    sample: int = 0  # index among the samples of its request

    @property
    def last_id(self) -> int:
        """The token that a stepper reads next."""
        return self.generated_ids[-1] if self.generated_ids else self.request.prompt[-1]

    @property
    def text_ids(self) -> Sequence[int]:
        """All ids generated for the text, those of earlier contexts included."""
        return (
            [*self.request.previous_ids, *self.generated_ids]
            if self.request.previous_context
            else self.generated_ids
        )

    def extend(self, token: int) -> "SequenceState":
        """Return the sequence with one more token."""
        return self._replace(generated_ids=[*self.generated_ids, token])

    def all_ids(self) -> list[int]:
        """Return the prompt and the generated ids."""
        return [*self.request.prompt, *self.generated_ids]


class Hypothesis(NamedTuple):
    """One finished text."""

    ids: list[int]  # without the end token
    score: float  # by which hypotheses are ranked: see SearchParameters.score
    log_probabilities: list[float]  # of each token, the end token's last if there is one
    finish_reason: FinishReason
    end_id: int | None = None  # the end token, if one was generated

    @property
    def tokens(self) -> list[int]:
        """All generated ids, the end token included."""
        return self.ids if self.end_id is None else [*self.ids, self.end_id]

    @property
    def finished(self) -> bool:
        """True if the text ended by itself, with an end token or a stop string."""
        return self.finish_reason in {"end", "stop"}


class TokenEvent(NamedTuple):
    """One token of one sequence, as soon as it is decided."""

    request: Request
    sample: int
    id: int
    log_probability: float  # under the model, before any processor
    finish_reason: FinishReason | None  # None: the sequence goes on


class RequestFinished(NamedTuple):
    """All hypotheses of one request, best first."""

    request: Request
    hypotheses: list[Hypothesis]


Event = TokenEvent | RequestFinished
Processor = Callable[[Tensor, Sequence[SequenceState]], Tensor]
