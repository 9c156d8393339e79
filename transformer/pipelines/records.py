"""Lines of text in, answers out: what passes between the command line and decoding."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from ..decoding.request import Hypothesis, Request
from ..errors import LineError

MAX_CHARACTERS = 100_000  # of a line that are looked at; far more than any model's context


NO_VALID_TOKEN = "nothing that may be written meets what is asked of it"  # noqa: S105 (no password)


class Line(NamedTuple):
    """One line of input."""

    number: int  # from 0
    text: str
    prefix: str = ""  # how its answer begins
    fields: Mapping[str, Any] = MappingProxyType({})  # what came with it and goes out again
    error: str | None = None  # why it cannot be read


class Output(NamedTuple):
    """One answer to a line, as text."""

    text: str
    hypothesis: Hypothesis
    request: Request | None = None  # what it answers; None: several, one after another

    def with_score(self, score: float) -> "Output":
        """The same with another score."""
        return self._replace(hypothesis=self.hypothesis._replace(score=score))


@dataclass(frozen=True)
class Answer:
    """All about one line: outputs, best first; or why there are none. An empty line has neither."""

    line: Line
    outputs: list[Output] = field(default_factory=list)
    error: str | None = None


class LineSource(Protocol):
    """Where lines come from, however slowly."""

    def take(self, most: int, *, wait: bool) -> list[Line] | None:
        """Up to `most` lines; without `wait` only those that are there. None: there are no more."""
        ...


class IterableSource(LineSource):
    """Lines that are there, or come as fast as they are asked for."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._lines: Iterator[Line] = (Line(n, text) for n, text in enumerate(texts))

    def take(self, most: int, *, wait: bool) -> list[Line] | None:
        """See Source."""
        del wait
        return list(islice(self._lines, most)) or None


class LineTask(Protocol):
    """How a line becomes tasks, and what was written an answer."""

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        """Each line's tasks, none for an empty line; or why there cannot be any."""
        ...

    def follow_up(self, task: Request, found: Sequence[Hypothesis]) -> Request | None:
        """What to write in a task's place, where what was found will not do."""
        ...

    def to_outputs(
        self, line: Line, tasks: Sequence[Request], found: Sequence[Sequence[Hypothesis]]
    ) -> list[Output]:
        """What a line's tasks have become. Raises LineError."""
        ...
