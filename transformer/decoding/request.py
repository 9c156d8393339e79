"""Requests, search options, and the events that a search returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta
from torch import Tensor

from ..bounds import check_bounds
from ..errors import ConfigError
from ..registry import Registry

# An end token, max_new_tokens, a stop string; no token that processors and constraints allow, and
# a request that was dropped: the last two are of no hypothesis.
FinishReason = Literal["end", "length", "stop", "no_valid_token", "cancelled"]


# A constraint on a whole text, such as a grammar: from its ids to the ids (n) that may follow.
# A pure function, for beams share their beginnings.
Constraint = Callable[[Sequence[int]], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """One text to generate."""

    prompt: Sequence[int]  # decoder tokens before the text: the start token, or a prompt
    max_new_tokens: int
    source: Sequence[int] = ()  # encoder tokens
    rng_key: tuple[int, ...] = (0,)  # identifies the request to sampling's random numbers
    min_new_tokens: int = 0  # no end token before this many tokens
    forced_first: int | None = None  # adds nothing to a score
    prefix: Sequence[int] = ()  # tokens that are forced after that
    phrases: Sequence[Sequence[int]] = ()  # must occur in the text; beam search only
    constraint: Constraint | None = None
    no_repeat_ngram_size: int = 0  # no n-gram of this size occurs twice; 0: all may
    previous_context: "PreviousContext | None" = None  # continued where the context was full
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

    def all_ids(self) -> list[int]:
        """Return the prompt and the generated ids."""
        return [*self.request.prompt, *self.generated_ids]


class Hypothesis(NamedTuple):
    """One finished text."""

    ids: list[int]  # without the end token
    score: float  # by which hypotheses are ranked: see SearchOptions.score
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
RowCount = Annotated[int, Meta(ge=1, le=1000)]  # rows of one request

Processor = Callable[[Tensor, Sequence[SequenceState]], Tensor]

LENGTH_PENALTIES: Registry[Callable[[int, float], float]] = Registry(
    "length penalty",
    {
        "power": lambda length, alpha: length**alpha,  # Hugging Face's
        "gnmt": lambda length, alpha: ((5 + length) / 6) ** alpha,  # arXiv 1609.08144 §7
    },
)


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Parameters of a search."""

    end_ids: frozenset[int]  # ids that end a text
    beam: RowCount = 1
    groups: int = 1  # of beams, which avoid each other's tokens
    diversity: Annotated[float, Meta(ge=0, le=1e6)] = (
        0.0  # penalty for each earlier group's beam with the same token
    )
    n_best: RowCount = 1  # hypotheses of a request; of sampling: samples
    length_penalty: Annotated[float, Meta(ge=-10, le=10)] = 1.0
    length_penalty_kind: str = "power"  # in LENGTH_PENALTIES
    early_stopping: bool | Literal["never"] = False  # see BeamSearch
    # contrastive search's α: weight of the similarity
    contrastive_penalty: Annotated[float, Meta(ge=0, le=1)] = 0.6
    candidates: Annotated[int, Meta(ge=1)] = 4  # contrastive search's k
    processors: Mapping[str, Any] = field(default_factory=dict)  # by name in PROCESSORS
    stop: Callable[[SequenceState], bool] | None = None  # True: the sequence ends here
    seed: int = 0

    def __post_init__(self) -> None:
        LENGTH_PENALTIES.check(self.length_penalty_kind)
        check_bounds(self)
        beams = max(self.beam, self.n_best)
        if beams % self.groups:
            raise ConfigError(
                f"{beams} beams do not divide into {self.groups} groups of equal size"
            )

    def score(self, log_probability: float, length: int) -> float:
        """Return `log p / penalty(length)`, by default with Hugging Face's penalty `length^α`.

        The end token counts in the length.
        """
        penalty = LENGTH_PENALTIES[self.length_penalty_kind]
        return log_probability / penalty(max(1, length), self.length_penalty)

    def hypothesis(
        self, ids: list[int], log_prob: float, log_probs: list[float], reason: FinishReason
    ) -> Hypothesis:
        """Return the finished text, ranked by the total log-probability `log_prob`.

        The total need not be the sum of `log_probs`: processors and forced tokens change it.
        """
        ends = reason == "end"
        return Hypothesis(
            ids=ids[:-1] if ends else ids,
            score=self.score(log_prob, len(ids)),
            log_probabilities=log_probs,
            finish_reason=reason,
            end_id=ids[-1] if ends else None,
        )

    def finish_reason(self, row: SequenceState) -> FinishReason | None:
        """Return why the sequence ends with its last token, or None if it goes on."""
        if row.generated_ids[-1] in self.end_ids:
            return "end"
        if self.stop is not None and self.stop(row):
            return "stop"
        return "length" if len(row.generated_ids) >= row.request.max_new_tokens else None


def concatenate(parts: Sequence[Hypothesis], options: SearchOptions) -> Hypothesis:
    """Join texts that were generated one after another.

    The end tokens of all but the last stand among the ids. The finish reason is the first that is
    not the end token.
    """
    log_probs = [log_prob for part in parts for log_prob in part.log_probabilities]
    *earlier, last = parts
    reasons = [part.finish_reason for part in parts]
    return Hypothesis(
        ids=[*(token for part in earlier for token in part.tokens), *last.ids],
        score=options.score(sum(log_probs), len(log_probs)),
        log_probabilities=log_probs,
        finish_reason=next((reason for reason in reasons if reason != "end"), "end"),
        end_id=last.end_id,
    )
