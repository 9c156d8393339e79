"""Scheduling of lines over engines: n lines in, n answers out, in order, with continuous batching.

The calling thread reads lines and yields answers; each engine has a thread of its own, takes
waiting requests as finished ones make room, and knows nothing of lines. Memory is bounded by the
open lines: those that are read and not yet answered.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Condition, Thread

import torch

from ..decoding.engine import Engine, run
from ..decoding.request import Event, Hypothesis, Request, RequestFinished
from ..errors import LineError
from .records import Answer, Line, LineSource, LineTask

_FIRST_WINDOW = 16  # lines; each window is twice as large as the last, so output starts early
_MAX_WINDOW = 1024  # lines that are sorted by length together
_MAX_OPEN_LINES = 4 * _MAX_WINDOW  # a slow line holds up the answers to those after it
_MAX_OPEN_CHARACTERS = 1 << 26  # the same in characters, for lines may be long
_MIN_FREE_FRACTION = 0.25  # of the batch, before requests enter: entering copies the caches
_POLL_SECONDS = 0.02  # between checks for a line that is being typed


@dataclass
class _Job:
    """An open line: its requests, and the hypotheses of those that are finished."""

    line: Line
    requests: list[Request]
    hypotheses: dict[int, list[Hypothesis]] = field(default_factory=dict)  # by request index
    error: str | None = None

    @property
    def done(self) -> bool:
        """True once all requests are finished, or the line has failed."""
        return self.error is not None or len(self.hypotheses) == len(self.requests)


class _ClosedError(Exception):
    """The consumer of the answers has stopped."""


def answer_lines(
    source: LineSource,
    task: LineTask,
    engines: Sequence[Engine],
    *,
    budget: int,
    counts: Counter[str] | None = None,
) -> Iterator[Answer]:
    """Answer any number of lines, in order and in bounded memory, each as soon as possible.

    `budget` limits the tokens in an engine's batch, padding and beams included: of sources, or of
    prompts and new tokens. Several engines compute with one thread each. `counts` is incremented by
    "failed" and "unfinished" lines, and requests restarted for "repeating".
    """
    counts = Counter() if counts is None else counts
    scheduler = _Scheduler(source, task, counts, engines=len(engines))
    threads_before = torch.get_num_threads()
    # Each worker sets this itself: the number of threads is a setting of the thread.
    threads = threads_before if len(engines) == 1 else 1
    workers = [
        Thread(target=scheduler.run_engine, args=(engine, budget, threads), daemon=True)
        for engine in engines
    ]
    for worker in workers:
        worker.start()
    try:
        while scheduler.feed():
            yield from scheduler.ready_answers()
    finally:
        scheduler.close()
        for worker in workers:
            worker.join()
        torch.set_num_threads(threads_before)


class _Scheduler:
    """State shared by the threads and guarded by `_changed`."""

    def __init__(
        self, source: LineSource, task: LineTask, counts: Counter[str], *, engines: int
    ) -> None:
        self._source, self._task, self._counts, self._engines = source, task, counts, engines
        self._window_size, self._longest_first = _FIRST_WINDOW, True
        self._ended = self._closed = False
        self._engine_error: BaseException | None = None
        self._source_error: Exception | None = None  # raised once the lines before it are answered
        self._windows: deque[list[Request]] = deque()  # waiting; the next is the last of the first
        self._jobs: dict[int, _Job] = {}  # by line number, until answered
        self._locations: dict[Request, tuple[int, int]] = {}  # line number, index of the request
        self._next_line = self._characters = 0
        self._changed = Condition()

    def feed(self) -> bool:
        """Read a window of lines if one is needed, else wait for progress; return False at the end.

        Raises an engine's error at once, and the source's once all lines before it are answered.
        """
        with self._changed:
            full = len(self._jobs) >= _MAX_OPEN_LINES or self._characters >= _MAX_OPEN_CHARACTERS
            wants_lines = not self._ended and len(self._windows) < 2 and not full
            has_jobs = bool(self._jobs)
        if wants_lines:
            lines = self._take_lines(wait=not has_jobs)
            if lines:
                self._enqueue(lines)
                return True
            self._ended = lines is None
        with self._changed:
            if self._engine_error is not None:
                raise self._engine_error
            next_job = self._jobs.get(self._next_line)
            if next_job is not None and not next_job.done:
                self._changed.wait(_POLL_SECONDS if wants_lines and not self._ended else None)
            self._changed.notify_all()
            if self._source_error is not None and not self._jobs:
                raise self._source_error
            return bool(self._jobs) or not self._ended

    def _take_lines(self, *, wait: bool) -> list[Line] | None:
        """Read lines; an error ends the source and is kept for later."""
        try:
            return self._source.take(self._window_size, wait=wait)
        except Exception as error:
            self._source_error = error
            return None

    def _enqueue(self, lines: Sequence[Line]) -> None:
        """Enqueue the requests of a window of lines, sorted by length.

        Windows are descending and ascending in turn, so that lengths are similar where they meet.
        """
        results = self._task.to_requests(lines)
        with self._changed:
            window: list[Request] = []
            for line, requests in zip(lines, results, strict=True):
                if line.error is not None or isinstance(requests, LineError):
                    job = _Job(line, [], error=line.error or str(requests))
                else:
                    job = _Job(line, requests)
                self._jobs[line.number] = job
                self._characters += len(line.text)
                for index, request in enumerate(job.requests):
                    self._locations[request] = line.number, index
                window += job.requests
            if window:
                window.sort(key=batch_cost, reverse=not self._longest_first)  # popped from the end
                self._windows.append(window)
            self._longest_first = not self._longest_first
            self._window_size = min(2 * self._window_size, _MAX_WINDOW)
            self._changed.notify_all()

    @torch.inference_mode()
    def run_engine(self, engine: Engine, budget: int, threads: int) -> None:
        """Run an engine until there are no more lines: the body of its thread."""
        torch.set_num_threads(threads)
        row_budget = max(1, budget // engine.search.width)
        try:
            for events in run(*engine, lambda running: self._take_requests(running, row_budget)):
                self._handle_events(events)
        except _ClosedError:
            pass
        except BaseException as error:
            with self._changed:
                self._engine_error = error
                self._changed.notify_all()

    def _take_requests(self, running: Sequence[Request], budget: int) -> list[Request] | None:
        """Return requests to add to the running ones, once there are any; None at the end."""
        longest = max(map(batch_cost, running), default=0)
        with self._changed:
            while True:
                if self._closed:
                    raise _ClosedError
                if running and len(running) > (1 - _MIN_FREE_FRACTION) * (budget // longest):
                    return []
                if self._windows or running:
                    return self._next_requests(len(running), longest, budget)
                if self._ended:
                    return None
                self._changed.wait()

    def _next_requests(self, rows: int, longest: int, budget: int) -> list[Request]:
        """Dequeue requests that fit in the batch, at most this engine's share of all open ones."""
        chosen: list[Request] = []
        share = -(-len(self._locations) // self._engines)
        while self._windows and rows + len(chosen) < share:
            window = self._windows[0]
            longest = max(longest, batch_cost(window[-1]))
            if rows + len(chosen) and (rows + len(chosen) + 1) * longest > budget:
                break
            chosen.append(window.pop())
            if not window:
                self._windows.popleft()
                self._changed.notify_all()  # the next window may be read
        return chosen

    def _handle_events(self, events: Sequence[Event]) -> None:
        """Store the hypotheses of finished requests, or enqueue their follow-ups first."""
        finished = [event for event in events if isinstance(event, RequestFinished)]
        if not finished:
            return
        with self._changed:
            for event in finished:
                line_number, index = self._locations.pop(event.request)
                job = self._jobs[line_number]
                follow_up = self._task.follow_up(event.request, event.hypotheses)
                if follow_up is None:
                    job.hypotheses[index] = event.hypotheses
                    continue
                self._counts["repeating"] += (
                    follow_up.no_repeat_ngram_size > event.request.no_repeat_ngram_size
                )
                job.requests[index] = follow_up
                self._locations[follow_up] = line_number, index
                self._windows.appendleft([follow_up])
            self._changed.notify_all()

    def ready_answers(self) -> Iterator[Answer]:
        """Yield the answers to the next lines, up to the first that is not done."""
        while True:
            with self._changed:
                job = self._jobs.get(self._next_line)
                if job is None or not job.done:
                    return
                del self._jobs[self._next_line]
                self._next_line += 1
                self._characters -= len(job.line.text)
            yield self._answer(job)

    def _answer(self, job: _Job) -> Answer:
        """Turn a line's hypotheses into its answer, and count failed and unfinished lines."""
        error = job.error
        if error is None:
            try:
                hypotheses = [job.hypotheses[index] for index in range(len(job.requests))]
                best = [candidates[0] for candidates in hypotheses if candidates]
                outputs = []
                if hypotheses:
                    outputs = self._task.to_outputs(job.line, job.requests, hypotheses)
                self._counts["unfinished"] += any(h.finish_reason == "length" for h in best)
                return Answer(job.line, outputs)
            except LineError as line_error:
                error = str(line_error)
        self._counts["failed"] += 1
        return Answer(job.line, error=error)

    def close(self) -> None:
        """Make the engines stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def batch_cost(request: Request) -> int:
    """Return the number of tokens for which a request counts in a batch."""
    return len(request.source) or len(request.prompt) + request.max_new_tokens
