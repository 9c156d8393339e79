"""Parameters of searches: those that all have in common; each search adds its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from ...bounds import check_bounds
from ...registry import Registry
from ..request import FinishReason, Hypothesis, SequenceState

if TYPE_CHECKING:
    from .search import Search

RowCount = Annotated[int, Meta(ge=1, le=1000)]  # rows of one request

LENGTH_PENALTIES: Registry[Callable[[int, float], float]] = Registry(
    "length penalty",
    {
        "power": lambda length, alpha: length**alpha,  # Hugging Face's
        "gnmt": lambda length, alpha: ((5 + length) / 6) ** alpha,  # arXiv 1609.08144 §7
    },
)


@dataclass(frozen=True, kw_only=True)
class SearchParameters(ABC):
    """Parameters of a search, the same for all requests of a batch."""

    name: ClassVar[str]  # in SEARCHES

    end_ids: frozenset[int]  # ids that end a text
    processors: Mapping[str, Any] = field(default_factory=dict)  # by name in PROCESSORS
    length_penalty: Annotated[float, Meta(ge=-10, le=10)] = 1.0
    length_penalty_kind: str = "power"  # in LENGTH_PENALTIES

    def __post_init__(self) -> None:
        LENGTH_PENALTIES.check(self.length_penalty_kind)
        check_bounds(self)

    @property
    def num_hypotheses(self) -> int:
        """The number of hypotheses of a request."""
        return 1

    @property
    def can_stream(self) -> bool:
        """True if a request has one text, whose tokens are decided one by one."""
        return self.num_hypotheses == 1

    @abstractmethod
    def build(self) -> "Search":
        """Build the search, without requests."""

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
        if row.request.stop is not None and row.request.stop(row):
            return "stop"
        return "length" if len(row.generated_ids) >= row.request.max_new_tokens else None

    def concatenate(self, parts: "list[Hypothesis]") -> Hypothesis:
        """Join texts that were generated one after another.

        The end tokens of all but the last stand among the ids. The finish reason is the first that
        is not the end token.
        """
        log_probs = [log_prob for part in parts for log_prob in part.log_probabilities]
        *earlier, last = parts
        reasons = [part.finish_reason for part in parts]
        return Hypothesis(
            ids=[*(token for part in earlier for token in part.tokens), *last.ids],
            score=self.score(sum(log_probs), len(log_probs)),
            log_probabilities=log_probs,
            finish_reason=next((reason for reason in reasons if reason != "end"), "end"),
            end_id=last.end_id,
        )
