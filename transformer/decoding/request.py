"""What searches are asked, and what they answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor

from ..errors import ConfigError
from ..registry import Table
from .bounds import check_range

# The end token, no room left, a stop string; no token that rules allow.
Reason = Literal["end", "length", "stop", "stuck"]


# A rule for all of a text, such as a grammar: which tokens may follow what was written, as ids (n).
# A pure function, for beams share what they wrote.
Constraint = Callable[[Sequence[int]], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One text to write."""

    prompt: Sequence[int]  # what stands before it: the start token, or a prompt
    limit: int  # the most tokens to write
    source: Sequence[int] = ()  # what an encoder reads
    keys: tuple[int, ...] = (0,)  # what identifies it to the noise of sampling
    least: int = 0  # tokens without which it does not end
    first: int | None = None  # a first token that is given, and adds nothing to a score
    prefix: Sequence[int] = ()  # how it begins after that
    phrases: Sequence[Sequence[int]] = ()  # what must be in it; beam search alone obeys
    constraint: Constraint | None = None
    no_repeat: int = 0  # no n-gram of this size twice
    before: "Before | None" = None  # what it goes on with, where the context was full

    @property
    def earlier(self) -> Sequence[int]:
        """What is written already of the text that this goes on with; its end is in the prompt."""
        return () if self.before is None else self.before.ids

    @property
    def ruled(self) -> bool:
        """Whether anything is asked of this text alone."""
        rules: tuple[object, ...] = (self.least, self.prefix, self.constraint, self.no_repeat)
        return self.first is not None or any(rules)

    @property
    def given(self) -> Sequence[int]:
        """What the text is about: the source, or of a model without an encoder the prompt."""
        return self.source or self.prompt


class Before(NamedTuple):
    """A text so far, of which a full context has forgotten the beginning."""

    prompt: Sequence[int]
    ids: list[int]
    log_probabilities: list[float]


class Row(NamedTuple):
    """A text while it is written."""

    task: Task
    written: list[int]
    sample: int = 0  # which of several about the same task

    @property
    def last(self) -> int:
        """The token that a stepper reads next."""
        return self.written[-1] if self.written else self.task.prompt[-1]

    @property
    def text(self) -> Sequence[int]:
        """All that is written of the text."""
        return [*self.task.earlier, *self.written] if self.task.before else self.written

    def tokens(self) -> list[int]:
        """All tokens so far."""
        return [*self.task.prompt, *self.written]


class Hypothesis(NamedTuple):
    """One finished text."""

    ids: list[int]  # without the end token
    score: float  # what hypotheses are ranked by: see SearchOptions.score
    log_probabilities: list[float]  # of each token, the end token's last if there is one
    reason: Reason
    end: int | None = None  # the token that ended it

    @property
    def tokens(self) -> list[int]:
        """All that was written."""
        return self.ids if self.end is None else [*self.ids, self.end]

    @property
    def finished(self) -> bool:
        """Whether it came to an end of its own."""
        return self.reason in {"end", "stop"}


class Token(NamedTuple):
    """One token of one text, as it is decided."""

    task: Task
    sample: int
    id: int
    log_probability: float  # under the model, before any processor
    reason: Reason | None  # why it is the last; None: it is not


class Finished(NamedTuple):
    """All about one task, best first."""

    task: Task
    hypotheses: list[Hypothesis]


Event = Token | Finished
_WIDEST = 1000  # rows for a text

Processor = Callable[[Tensor, Sequence[Row]], Tensor]

LENGTH_PENALTIES: Table[Callable[[int, float], float]] = Table(
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
    penalty: float = 0.6  # contrastive search's α: how much likeness to what was written costs
    candidates: int = 4  # contrastive search's k: the tokens that it chooses from
    processors: Mapping[str, Any] = field(default_factory=dict)  # by name in PROCESSORS
    stop: Callable[[Row], bool] | None = None  # whether what was written ends here
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
        check_range("penalty", self.penalty, 0, 1)
        if self.candidates < 1:
            raise ConfigError(f"candidates is {self.candidates}; it must be at least 1")

    def score(self, log_probability: float, length: int) -> float:
        """`log p / penalty(length)`, the end token counted in the length: by default `length^α`,
        Hugging Face's definition."""
        penalty = LENGTH_PENALTIES[self.length_penalty_kind]
        return log_probability / penalty(max(1, length), self.length_penalty)

    def hypothesis(
        self, written: list[int], total: float, gains: list[float], reason: Reason
    ) -> Hypothesis:
        """The finished text, ranked by a total log-probability, which need not be that of `gains`:
        processors and forced tokens change it."""
        ends = reason == "end"
        return Hypothesis(
            ids=written[:-1] if ends else written,
            score=self.score(total, len(written)),
            log_probabilities=gains,
            reason=reason,
            end=written[-1] if ends else None,
        )

    def reason(self, row: Row) -> Reason | None:
        """Why a text ends with its last token; None: it goes on."""
        if row.written[-1] in self.end:
            return "end"
        if self.stop is not None and self.stop(row):
            return "stop"
        return "length" if len(row.written) >= row.task.limit else None


def joined(parts: Sequence[Hypothesis], options: SearchOptions) -> Hypothesis:
    """Texts that were written one after another as one: all tokens, the ends of all but the last
    among its ids, and the first reason that is not the end token."""
    gains = [gain for part in parts for gain in part.log_probabilities]
    *others, last = parts
    reasons = [part.reason for part in parts]
    return Hypothesis(
        ids=[*(token for part in others for token in part.tokens), *last.ids],
        score=options.score(sum(gains), len(gains)),
        log_probabilities=gains,
        reason=next((reason for reason in reasons if reason != "end"), "end"),
        end=last.end,
    )
