"""The pipeline of lines: n lines in, n answers out, in order, in bounded memory.

It reads windows of lines ahead, turns them into requests for an executor, and yields each answer as
soon as it and all before it are complete.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from ..decoding.engine import Engine
from ..decoding.request import Hypothesis, Request
from ..decoding.scheduler import Scheduler
from ..errors import LineError
from .executors import DecodingExecutor, Executor
from .notices import FAILED, count_notices, that_happened
from .records import (
    Answer,
    Line,
    LineRevision,
    LineSource,
    LineTask,
    OutputT,
    RequestT,
    ResultT,
    Revision,
)

_FIRST_WINDOW = 16  # lines; each window is twice as large as the last, so output starts early
_MAX_WINDOW = 1024  # lines that are sorted by length together
_MAX_OPEN_LINES = 4 * _MAX_WINDOW  # a slow line holds up the answers to those after it
_MAX_OPEN_CHARACTERS = 1 << 26  # the same in characters, for lines may be long
_POLL_SECONDS = 0.02  # between checks for a line that is being typed
_STOP_SECONDS = 0.1  # between checks whether to end early


class WindowReader:
    """Windows of lines from a source, each twice as large as the last."""

    def __init__(self, source: LineSource) -> None:
        self._source, self._size = source, _FIRST_WINDOW
        self._error: Exception | None = None
        self.ended = False

    def read(self, *, wait: bool) -> list[Line]:
        """Return the next window; without `wait`, possibly nothing.

        An error ends the source, and is kept for `raise_error`.
        """
        try:
            lines = self._source.take(self._size, wait=wait)
        except Exception as error:
            self._error, lines = error, None
        self.ended = lines is None
        if lines:
            self._size = min(2 * self._size, _MAX_WINDOW)
        return lines or []

    def raise_error(self) -> None:
        """Raise the source's error, if it ended with one."""
        if self._error is not None:
            raise self._error


@dataclass
class _OpenLine(Generic[RequestT, ResultT]):
    """A line that is not answered yet: its requests, and the results of those that are finished."""

    line: Line
    requests: list[RequestT]
    results: dict[int, ResultT] = field(default_factory=dict)  # by request index
    error: str | None = None
    revision: LineRevision[RequestT, ResultT] | None = None  # of all results together

    @property
    def is_complete(self) -> bool:
        """True once all requests are finished."""
        return len(self.results) == len(self.requests)

    @property
    def done(self) -> bool:
        """True once nothing more is asked for, or the line has failed."""
        return self.error is not None or (self.is_complete and self.revision is None)


class OpenLines(Generic[RequestT, ResultT]):
    """The lines that are read and not yet answered, in order."""

    def __init__(self) -> None:
        self._lines: dict[int, _OpenLine[RequestT, ResultT]] = {}  # by order
        self._locations: dict[RequestT, tuple[int, int]] = {}  # order, index of the request
        self._revisions: dict[RequestT, Revision[RequestT, ResultT]] = {}  # that wait for a result
        self._characters = self._next = self._added = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def full(self) -> bool:
        """True if no more lines may be read before some are answered."""
        return len(self._lines) >= _MAX_OPEN_LINES or self._characters >= _MAX_OPEN_CHARACTERS

    def add(self, line: Line, requests: Sequence[RequestT] | LineError) -> None:
        """Add the next line with its requests, or its error."""
        if isinstance(requests, LineError):
            self._lines[self._added] = _OpenLine(line, [], error=str(requests))
        else:
            self._lines[self._added] = _OpenLine(line, list(requests))
            for index, request in enumerate(requests):
                self._locations[request] = self._added, index
        self._added += 1
        self._characters += len(line.text)

    def advance(
        self, task: LineTask[RequestT, ResultT, Any], request: RequestT, result: ResultT
    ) -> RequestT | None:
        """Store the result of a request, unless the task revises it: by the request returned.

        Once a line has all its results, the task may revise these in the same way.
        """
        number, index = location = self._locations.pop(request)
        entry = self._lines[number]
        if entry.revision is not None:
            return self._advance_line(entry, location, result)
        revision = self._revisions.pop(request, None)
        try:
            if revision is None:
                revision = task.revise(request, result)
                following = None if revision is None else next(revision)
            else:
                following = revision.send(result)
        except StopIteration as end:
            (request, result), following = end.value, None
        if revision is not None and following is not None:
            self._locations[following], self._revisions[following] = location, revision
            return following
        entry.requests[index], entry.results[index] = request, result
        if not entry.is_complete:
            return None
        results = [entry.results[n] for n in range(len(entry.requests))]
        entry.revision = task.revise_line(entry.requests, results)
        return None if entry.revision is None else self._advance_line(entry, location, None)

    def _advance_line(
        self,
        entry: _OpenLine[RequestT, ResultT],
        location: tuple[int, int],
        result: ResultT | None,
    ) -> RequestT | None:
        """Send a result to the revision of a line; store what it returns at its end."""
        assert entry.revision is not None
        try:
            following = next(entry.revision) if result is None else entry.revision.send(result)
        except StopIteration as end:
            entry.results, entry.revision = dict(enumerate(end.value)), None
            return None
        self._locations[following] = location
        return following

    def pop_done(self) -> Iterator[_OpenLine[RequestT, ResultT]]:
        """Yield and remove the next lines, up to the first that is not done."""
        while (entry := self._lines.get(self._next)) is not None and entry.done:
            del self._lines[self._next]
            self._next += 1
            self._characters -= len(entry.line.text)
            yield entry


def answer_lines(
    source: LineSource,
    task: LineTask[RequestT, ResultT, OutputT],
    executor: Executor[RequestT, ResultT],
    counts: Counter[str],
    stop: Callable[[], bool] | None = None,
) -> Iterator[Answer[OutputT]]:
    """Answer any number of lines, in order and in bounded memory, each as soon as possible.

    `counts` is incremented for each notice of an answer, and "failed" for each with an error. An
    executor's error is raised at once, the source's once all lines before it are answered. Answers
    end early once `stop()` is True, which is looked at every 0.1 s.
    """
    reader, open_lines = WindowReader(source), OpenLines[RequestT, ResultT]()
    patience = None if stop is None else _STOP_SECONDS
    while open_lines or not reader.ended:
        if stop is not None and stop():
            return
        may_read = executor.wants_requests and not open_lines.full and not reader.ended
        lines = reader.read(wait=not open_lines) if may_read else []
        if window := _open(lines, task, open_lines):
            executor.submit(window)
        if not lines:
            timeout = _POLL_SECONDS if may_read and not reader.ended else patience
            for request, result in executor.results(timeout):
                following = open_lines.advance(task, request, result)
                if following is not None:
                    executor.resubmit(following)
        for entry in open_lines.pop_done():
            yield _counted(_answer(task, entry), counts)
    reader.raise_error()


def _open(
    lines: Sequence[Line],
    task: LineTask[RequestT, ResultT, OutputT],
    open_lines: OpenLines[RequestT, ResultT],
) -> list[RequestT]:
    """Add a window of lines to the open ones; return their requests."""
    window: list[RequestT] = []
    readable = [line for line in lines if line.error is None]
    prepared = iter(task.to_requests(readable) if readable else ())
    for line in lines:
        requests = next(prepared) if line.error is None else LineError(line.error)
        open_lines.add(line, requests)
        window += () if isinstance(requests, LineError) else requests
    return window


def _answer(
    task: LineTask[RequestT, ResultT, OutputT], entry: _OpenLine[RequestT, ResultT]
) -> Answer[OutputT]:
    """Turn a line's results into its answer."""
    line, requests = entry.line, entry.requests
    if entry.error is not None or not requests:
        blank = that_happened(blank=bool(line.text.strip()) and entry.error is None)
        return Answer(line, error=entry.error, notices={**line.notices, **blank})
    results = [entry.results[index] for index in range(len(requests))]
    try:
        outputs, notices = task.to_outputs(line, requests, results)
    except LineError as error:
        return Answer(line, error=str(error), notices=line.notices)
    return Answer(line, outputs, notices={**line.notices, **notices})


def _counted(answer: Answer[OutputT], counts: Counter[str]) -> Answer[OutputT]:
    """Return the answer, after counting what happened to its line."""
    count_notices(answer.notices, counts)
    counts[FAILED] += answer.error is not None
    return answer


def decode_lines(
    source: LineSource,
    task: LineTask[Request, list[Hypothesis], OutputT],
    engines: Sequence[Engine],
    *,
    budget: int,
    counts: Counter[str],
    threads: int | None = None,
    processes: bool = False,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Answer[OutputT]]:
    """Answer lines with engines, by a scheduler of that budget, those threads and processes."""
    with Scheduler(engines, budget=budget, threads=threads, processes=processes) as scheduler:
        yield from answer_lines(source, task, DecodingExecutor(scheduler), counts, stop)
