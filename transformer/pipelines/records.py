"""Lines, answers and tasks: what goes into a pipeline, and what comes out."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from tokenizer.quantities import format_count

from ..decoding.request import Hypothesis, Request
from ..errors import LineError
from .notices import NO_NOTICES, Notices

MAX_CHARACTERS = 100_000  # of a line that are read; far more than any model's context

NO_VALID_TOKEN = "no token is allowed: the constraints on this text exclude one another"  # noqa: S105 (no password)


RequestT = TypeVar("RequestT", bound=Hashable)  # told apart by identity
ResultT = TypeVar("ResultT")
OutputT = TypeVar("OutputT")

# It yields further requests, is sent the result of each, and returns the request and the result
# that are kept.
Revision = Generator[RequestT, ResultT, tuple[RequestT, ResultT]]
LineRevision = Generator[RequestT, ResultT, list[ResultT]]  # likewise; returns all of a line's


class Line(NamedTuple):
    """One line of input."""

    number: int  # from 0
    text: str
    prefix: str = ""  # with which its answer begins
    fields: Mapping[str, Any] = MappingProxyType({})  # of its JSON object; repeated with the answer
    error: str | None = None  # the reason why it cannot be read
    notices: Notices = NO_NOTICES  # about reading it


def split_pair(text: str) -> tuple[str, str]:
    """Return the two texts of a line with a tab between them.

    Raises LineError for a line of one text, or of more columns: the second text would have the
    others, which may be labels.
    """
    columns = text.split("\t")
    if len(columns) == 1:
        raise LineError("the line has no tab, which stands between its two texts")
    if len(columns) > 2:
        raise LineError(
            f"the line has {format_count(len(columns), 'column')}, where the two texts of a pair "
            "are expected: leave the others out (cut -f1,2)"
        )
    return columns[0], columns[1]


class Output(NamedTuple):
    """One candidate answer to a line, as text."""

    text: str
    hypothesis: Hypothesis
    request: Request | None = None  # None: it was joined from several

    def with_score(self, score: float) -> "Output":
        """Return this output with another score."""
        return self._replace(hypothesis=self.hypothesis._replace(score=score))


@dataclass(frozen=True)
class Answer(Generic[OutputT]):
    """A line with its outputs, best first, or the error; an empty line has neither."""

    line: Line
    outputs: list[OutputT] = field(default_factory=list)
    error: str | None = None
    notices: Notices = field(default_factory=dict)  # about reading and answering it


class LineSource(Protocol):
    """A source of lines that may arrive slowly."""

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        """Return up to `limit` lines, or None after the last one.

        Without `wait`, only lines that have arrived already are returned, possibly none.
        """
        ...


class IterableSource(LineSource):
    """A source of lines, or of their texts, from an iterable that never makes anyone wait."""

    def __init__(self, texts: Iterable[str | Line]) -> None:
        self._lines: Iterator[Line] = (
            text if isinstance(text, Line) else Line(n, text) for n, text in enumerate(texts)
        )

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        """See LineSource."""
        del wait
        return list(islice(self._lines, limit)) or None


class LineTask(ABC, Generic[RequestT, ResultT, OutputT]):
    """A task that turns lines into requests, and the results of these into outputs."""

    @abstractmethod
    def to_requests(self, lines: Sequence[Line]) -> Sequence[Sequence[RequestT] | LineError]:
        """Return each line's requests, none for an empty line; or the error of the line."""

    def revise(self, request: RequestT, result: ResultT) -> Revision[RequestT, ResultT] | None:
        """Return a revision of a result; None, as here, to accept it as it is."""
        del request, result
        return None

    def revise_line(
        self, requests: Sequence[RequestT], results: Sequence[ResultT]
    ) -> LineRevision[RequestT, ResultT] | None:
        """Return a revision of all of a line's results; None, as here, to accept them."""
        del requests, results
        return None

    @abstractmethod
    def to_outputs(
        self, line: Line, requests: Sequence[RequestT], results: Sequence[ResultT]
    ) -> tuple[list[OutputT], Notices]:
        """Return a line's outputs, best first, from the result of each request.

        With them come the notices of what happened to the line. Raises LineError.
        """
