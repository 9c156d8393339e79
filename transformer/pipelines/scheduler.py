"""The filter: n lines in, n answers out, in order, many written side by side.

The thread that asks for answers reads lines and gives answers back; each engine has a thread of
its own, takes waiting tasks as finished ones make room, and knows nothing of lines. Memory is
bounded by the lines that are read and not yet given back.
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

_FIRST = 16  # lines in the first window; each is twice the one before, so output starts early
_LARGEST = 1024  # lines that are sorted by length together
_MOST = 4 * _LARGEST  # lines that are read and not given back: one that takes long holds up others
_FREE = 0.25  # of the batch, before waiting lines enter: entering copies what is there
_CHARACTERS = 1 << 26  # the same in characters, for lines may be long
_POLL = 0.02  # seconds between looks for a line that is being typed


@dataclass
class _Job:
    """A line that is being answered."""

    line: Line
    tasks: list[Request]
    found: dict[int, list[Hypothesis]] = field(default_factory=dict)  # by the task's place
    error: str | None = None

    @property
    def done(self) -> bool:
        return self.error is not None or len(self.found) == len(self.tasks)


class _ClosedError(Exception):
    """Nobody wants more answers."""


def answer_lines(
    source: LineSource,
    plan: LineTask,
    engines: Sequence[Engine],
    *,
    budget: int,
    counts: Counter[str] | None = None,
) -> Iterator[Answer]:
    """Answer any number of lines, in order, in bounded memory, each as soon as it and all before
    it are done.

    `budget` is the most tokens of sources (or prompts and what is written) in an engine's batch,
    padding and beams counted. Several engines compute with one thread each. `counts` gathers what
    happened: failed, unfinished, repeating.
    """
    counts = Counter() if counts is None else counts
    filter_ = _Scheduler(source, plan, counts, engines=len(engines))
    before = torch.get_num_threads()
    threads = before if len(engines) == 1 else 1  # a new thread does not know what was set here
    workers = [
        Thread(target=filter_.work, args=(engine, budget, threads), daemon=True)
        for engine in engines
    ]
    for worker in workers:
        worker.start()
    try:
        while filter_.feed():
            yield from filter_.ready()
    finally:
        filter_.close()
        for worker in workers:
            worker.join()
        torch.set_num_threads(before)


class _Scheduler:
    """What the threads share; `_changed` guards it."""

    def __init__(
        self, source: LineSource, plan: LineTask, counts: Counter[str], *, engines: int
    ) -> None:
        self._source, self._plan, self._counts, self._engines = source, plan, counts, engines
        self._size, self._falling = _FIRST, True
        self._ended = self._closed = False
        self._error: BaseException | None = None  # an engine's
        self._unread: Exception | None = None  # the source's, told once all before it is answered
        self._windows: deque[list[Request]] = deque()  # each with the next at its end
        self._jobs: dict[int, _Job] = {}  # by line, until given back
        self._place: dict[Request, tuple[int, int]] = {}  # its line, and which of the line's tasks
        self._next = self._characters = 0
        self._changed = Condition()

    def feed(self) -> bool:
        """Read a window of lines where one is wanted, or wait for something to be done. Whether
        anything is left to do."""
        with self._changed:
            full = len(self._jobs) >= _MOST or self._characters >= _CHARACTERS
            hungry = not self._ended and len(self._windows) < 2 and not full
            busy = bool(self._jobs)
        if hungry:
            lines = self._more(wait=not busy)
            if lines:
                self._read(lines)
                return True
            self._ended = lines is None
        with self._changed:
            if self._error is not None:
                raise self._error
            following = self._jobs.get(self._next)
            if following is not None and not following.done:
                self._changed.wait(_POLL if hungry and not self._ended else None)
            self._changed.notify_all()
            if self._unread is not None and not self._jobs:
                raise self._unread
            return bool(self._jobs) or not self._ended

    def _more(self, *, wait: bool) -> list[Line] | None:
        try:
            return self._source.take(self._size, wait=wait)
        except Exception as error:
            self._unread = error
            return None

    def _read(self, lines: Sequence[Line]) -> None:
        """Take in a window of lines, sorted by length: falling and rising in turn, so that where
        windows meet lengths are alike."""
        prepared = self._plan.to_requests(lines)
        with self._changed:
            window: list[Request] = []
            for line, tasks in zip(lines, prepared, strict=True):
                if line.error is not None or isinstance(tasks, LineError):
                    job = _Job(line, [], error=line.error or str(tasks))
                else:
                    job = _Job(line, tasks)
                self._jobs[line.number] = job
                self._characters += len(line.text)
                self._place |= {task: (line.number, n) for n, task in enumerate(job.tasks)}
                window += job.tasks
            if window:
                self._windows.append(sorted(window, key=batch_cost, reverse=not self._falling))
            self._falling = not self._falling
            self._size = min(2 * self._size, _LARGEST)
            self._changed.notify_all()

    @torch.inference_mode()
    def work(self, engine: Engine, budget: int, threads: int) -> None:
        """Let an engine write, until there is nothing left."""
        torch.set_num_threads(threads)
        most = max(1, budget // engine.search.width)
        try:
            for events in run(*engine, lambda running: self._take(running, most)):
                self._note(events)
        except _ClosedError:
            pass
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _take(self, running: Sequence[Request], budget: int) -> list[Request] | None:
        """Tasks to begin beside those that are running; None at the end."""
        longest = max(map(batch_cost, running), default=0)
        with self._changed:
            while True:
                if self._closed:
                    raise _ClosedError
                if running and len(running) > (1 - _FREE) * (budget // longest):
                    return []
                if self._windows or running:
                    return self._choose(len(running), longest, budget)
                if self._ended:
                    return None
                self._changed.wait()

    def _choose(self, rows: int, longest: int, budget: int) -> list[Request]:
        """The next tasks, as many as there is room for; of few no more than this engine's share."""
        chosen: list[Request] = []
        share = -(-len(self._place) // self._engines)
        while self._windows and rows + len(chosen) < share:
            window = self._windows[0]
            longest = max(longest, batch_cost(window[-1]))
            if rows + len(chosen) and (rows + len(chosen) + 1) * longest > budget:
                break
            chosen.append(window.pop())
            if not window:
                self._windows.popleft()
                self._changed.notify_all()  # more may be read
        return chosen

    def _note(self, events: Sequence[Event]) -> None:
        """Take what was finished, or let it be written again."""
        finished = [event for event in events if isinstance(event, RequestFinished)]
        if not finished:
            return
        with self._changed:
            for event in finished:
                number, place = self._place.pop(event.request)
                job = self._jobs[number]
                task = self._plan.follow_up(event.request, event.hypotheses)
                if task is None:
                    job.found[place] = event.hypotheses
                    continue
                self._counts["repeating"] += (
                    task.no_repeat_ngram_size > event.request.no_repeat_ngram_size
                )
                job.tasks[place] = task
                self._place[task] = number, place
                self._windows.appendleft([task])
            self._changed.notify_all()

    def ready(self) -> Iterator[Answer]:
        """Give back what is done and follows what was given back."""
        while True:
            with self._changed:
                job = self._jobs.get(self._next)
                if job is None or not job.done:
                    return
                del self._jobs[self._next]
                self._next += 1
                self._characters -= len(job.line.text)
            yield self._answer(job)

    def _answer(self, job: _Job) -> Answer:
        error = job.error
        if error is None:
            try:
                found = [job.found[place] for place in range(len(job.tasks))]
                outputs = self._plan.to_outputs(job.line, job.tasks, found) if found else []
                cut = any(h.finish_reason == "length" for some in found for h in some[:1])
                self._counts["unfinished"] += cut
                return Answer(job.line, outputs)
            except LineError as refused:
                error = str(refused)
        self._counts["failed"] += 1
        return Answer(job.line, error=error)

    def close(self) -> None:
        """Let the engines stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def batch_cost(task: Request) -> int:
    """Tokens that a task takes up in a batch."""
    return len(task.source) or len(task.prompt) + task.max_new_tokens
