"""What searches are asked, and what they answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor

from ..errors import ConfigError
from ..registry import Registry
from .bounds import check_range

# The end token, no room left, a stop string; no token that rules allow.
FinishReason = Literal["end", "length", "stop", "no_valid_token"]


# A rule for all of a text, such as a grammar: which tokens may follow what was written, as ids (n).
# A pure function, for beams share what they wrote.
Constraint = Callable[[Sequence[int]], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """One text to write."""

    prompt: Sequence[int]  # what stands before it: the start token, or a prompt
    max_new_tokens: int  # the most tokens to write
    source: Sequence[int] = ()  # what an encoder reads
    rng_key: tuple[int, ...] = (0,)  # what identifies it to the noise of sampling
    min_new_tokens: int = 0  # tokens without which it does not end
    forced_first: int | None = None  # a first token that is given, and adds nothing to a score
    prefix: Sequence[int] = ()  # how it begins after that
    phrases: Sequence[Sequence[int]] = ()  # what must be in it; beam search alone obeys
    constraint: Constraint | None = None
    no_repeat_ngram_size: int = 0  # no n-gram of this size twice
    previous_context: "PreviousContext | None" = (
        None  # what it goes on with, where the context was full
    )

    @property
    def previous_ids(self) -> Sequence[int]:
        """What is written already of the text that this goes on with; its end is in the prompt."""
        return () if self.previous_context is None else self.previous_context.ids

    @property
    def has_constraints(self) -> bool:
        """Whether anything is asked of this text alone."""
        own: tuple[object, ...] = (self.min_new_tokens, self.prefix, self.constraint)
        return self.forced_first is not None or any(own) or self.no_repeat_ngram_size > 0

    @property
    def context_ids(self) -> Sequence[int]:
        """What the text is about: the source, or of a model without an encoder the prompt."""
        return self.source or self.prompt


class PreviousContext(NamedTuple):
    """A text so far, of which a full context has forgotten the beginning."""

    prompt: Sequence[int]
    ids: list[int]
    log_probabilities: list[float]


class SequenceState(NamedTuple):
    """A text while it is written."""

    request: Request
    generated_ids: list[int]
    sample: int = 0  # which of several about the same task

    @property
    def last_id(self) -> int:
        """The token that a stepper reads next."""
        return self.generated_ids[-1] if self.generated_ids else self.request.prompt[-1]

    @property
    def text_ids(self) -> Sequence[int]:
        """All that is written of the text."""
        return (
            [*self.request.previous_ids, *self.generated_ids]
            if self.request.previous_context
            else self.generated_ids
        )

    def all_ids(self) -> list[int]:
        """All tokens so far."""
        return [*self.request.prompt, *self.generated_ids]


class Hypothesis(NamedTuple):
    """One finished text."""

    ids: list[int]  # without the end token
    score: float  # what hypotheses are ranked by: see SearchOptions.score
    log_probabilities: list[float]  # of each token, the end token's last if there is one
    finish_reason: FinishReason
    end_id: int | None = None  # the token that ended it

    @property
    def tokens(self) -> list[int]:
        """All that was written."""
        return self.ids if self.end_id is None else [*self.ids, self.end_id]

    @property
    def finished(self) -> bool:
        """Whether it came to an end of its own."""
        return self.finish_reason in {"end", "stop"}


class TokenEvent(NamedTuple):
    """One token of one text, as it is decided."""

    request: Request
    sample: int
    id: int
    log_probability: float  # under the model, before any processor
    finish_reason: FinishReason | None  # why it is the last; None: it is not


class RequestFinished(NamedTuple):
    """All about one task, best first."""

    request: Request
    hypotheses: list[Hypothesis]


Event = TokenEvent | RequestFinished
_WIDEST = 1000  # rows for a text

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
    """How to search."""

    end: frozenset[int]  # ids that end a text
    beam: int = 1
    groups: int = 1  # of beams that avoid each other's tokens
    diversity: float = 0.0  # how much they do
    n_best: int = 1  # of sampling: how many samples
    length_penalty: float = 1.0
    length_penalty_kind: str = "power"  # in LENGTH_PENALTIES
    early_stopping: bool | Literal["never"] = False  # see beam.py
    contrastive_penalty: float = (
        0.6  # contrastive search's α: how much likeness to what was written costs
    )
    candidates: int = 4  # contrastive search's k: the tokens that it chooses from
    processors: Mapping[str, Any] = field(default_factory=dict)  # by name in PROCESSORS
    stop: Callable[[SequenceState], bool] | None = None  # whether what was written ends here
    seed: int = 0

    def __post_init__(self) -> None:
        LENGTH_PENALTIES.check(self.length_penalty_kind)
        check_range("beam", self.beam, 1, _WIDEST)
        check_range("n-best", self.n_best, 1, _WIDEST)
        check_range("length penalty", self.length_penalty, -10, 10)
        check_range("diversity", self.diversity, 0, 1e6)
        beams = max(self.beam, self.n_best)
        if beams % self.groups:
            raise ConfigError(
                f"{beams} beams do not divide into {self.groups} groups of equal size"
            )
        check_range("penalty", self.contrastive_penalty, 0, 1)
        if self.candidates < 1:
            raise ConfigError(f"candidates is {self.candidates}; it must be at least 1")

    def score(self, log_probability: float, length: int) -> float:
        """`log p / penalty(length)`, the end token counted in the length: by default `length^α`,
        Hugging Face's definition."""
        penalty = LENGTH_PENALTIES[self.length_penalty_kind]
        return log_probability / penalty(max(1, length), self.length_penalty)

    def hypothesis(
        self, ids: list[int], log_prob: float, log_probs: list[float], reason: FinishReason
    ) -> Hypothesis:
        """The finished text, ranked by a total log-probability, which need not be that of `gains`:
        processors and forced tokens change it."""
        ends = reason == "end"
        return Hypothesis(
            ids=ids[:-1] if ends else ids,
            score=self.score(log_prob, len(ids)),
            log_probabilities=log_probs,
            finish_reason=reason,
            end_id=ids[-1] if ends else None,
        )

    def finish_reason(self, row: SequenceState) -> FinishReason | None:
        """Why a text ends with its last token; None: it goes on."""
        if row.generated_ids[-1] in self.end:
            return "end"
        if self.stop is not None and self.stop(row):
            return "stop"
        return "length" if len(row.generated_ids) >= row.request.max_new_tokens else None


def concatenate(parts: Sequence[Hypothesis], options: SearchOptions) -> Hypothesis:
    """Texts that were written one after another as one: all tokens, the ends of all but the last
    among its ids, and the first reason that is not the end token."""
    gains = [gain for part in parts for gain in part.log_probabilities]
    *others, last = parts
    reasons = [part.finish_reason for part in parts]
    return Hypothesis(
        ids=[*(token for part in others for token in part.tokens), *last.ids],
        score=options.score(sum(gains), len(gains)),
        log_probabilities=gains,
        finish_reason=next((reason for reason in reasons if reason != "end"), "end"),
        end_id=last.end_id,
    )
