"""What searches are asked, and what they answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor


class Hypothesis(NamedTuple):
    """One finished text."""

    ids: list[int]  # without the end token
    score: float  # what hypotheses are ranked by: see SearchOptions.score
    log_probabilities: list[float]  # of each token, the end token's last if finished
    finished: bool  # False: cut off at the limit


class Row(NamedTuple):
    """A text while it is written."""

    number: int  # its place among those given
    prompt: Sequence[int]  # what was there before: the start token, or a prompt
    written: list[int]
    limit: int  # the most tokens to write

    def tokens(self) -> list[int]:
        """All tokens so far."""
        return [*self.prompt, *self.written]


Processor = Callable[[Tensor, Sequence[Row]], Tensor]


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How to search."""

    end: frozenset[int]  # ids that end a text
    beam: int = 1
    n_best: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False  # see beam.py
    processors: Mapping[str, Any] = field(default_factory=dict)  # by name in PROCESSORS
    seed: int = 0
    keys: Sequence[int] = ()  # what identifies each row to the noise; the row's place if empty
    prompts: Sequence[Sequence[int]] = ()  # what each row begins with; its first token if empty

    def prompt(self, row: int, first: int) -> Sequence[int]:
        """What stood before a row's first new token."""
        return self.prompts[row] if self.prompts else [first]

    def score(self, log_probability: float, length: int) -> float:
        """`log p / length^α`, the end token counted in the length: Hugging Face's definition."""
        scale: float = max(1, length) ** self.length_penalty
        return log_probability / scale
