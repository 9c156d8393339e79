"""The filter: n lines in, n answers out, in order, many written side by side.

Memory is bounded by the lines that are read and not yet given back: two windows and those that are
being written.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from .lines import Answer, Line, LineError, Plan, Source
from .search import Engine, run
from .tasks import Event, Finished, Hypothesis, Task

_FIRST = 16  # lines in the first window; each is twice the one before, so output starts early
_LARGEST = 1024  # lines that are sorted by length together
_FREE = 0.25  # of the batch, before waiting lines enter: entering copies what is there


@dataclass
class _Job:
    """A line that is being answered."""

    line: Line
    tasks: list[Task]
    found: dict[int, list[Hypothesis]] = field(default_factory=dict)  # by the task's place
    error: str | None = None

    @property
    def done(self) -> bool:
        return self.error is not None or len(self.found) == len(self.tasks)


@torch.inference_mode()
def answers(
    source: Source,
    plan: Plan,
    engine: Engine,
    *,
    budget: int,
    counts: Counter[str] | None = None,
) -> Iterator[Answer]:
    """Answer any number of lines, in order, in bounded memory, each as soon as it and all before
    it are done.

    `budget` is the most tokens of sources (or prompts and what is written) in a batch, padding and
    beams counted. `counts` gathers what happened: failed, unfinished, repeating.
    """
    counts = Counter() if counts is None else counts
    filter_ = _Filter(source, plan, max(1, budget // engine.search.width), counts)
    for events in run(*engine, filter_.take):
        filter_.note(events)
        yield from filter_.ready()


class _Filter:
    def __init__(self, source: Source, plan: Plan, budget: int, counts: Counter[str]) -> None:
        self._source, self._plan, self._counts = source, plan, counts
        self._budget = budget
        self._size, self._falling, self._ended = _FIRST, True, False
        self._waiting: list[Task] = []  # the next at the end
        self._jobs: dict[int, _Job] = {}  # by line, until given back
        self._place: dict[Task, tuple[int, int]] = {}  # its line, and which of the line's tasks
        self._next = 0

    def take(self, running: Sequence[Task]) -> list[Task] | None:
        """Tasks to begin beside those that are running; None at the end."""
        longest = max(map(cost, running), default=0)
        if running and len(running) > (1 - _FREE) * (self._budget // longest):
            return []
        if not self._waiting:
            self._read(wait=not running)
        if not self._waiting and self._ended:
            return None
        chosen: list[Task] = []
        while self._waiting:
            longest = max(longest, cost(self._waiting[-1]))
            rows = len(running) + len(chosen) + 1
            if rows > 1 and rows * longest > self._budget:
                break
            chosen.append(self._waiting.pop())
        return chosen

    def _read(self, *, wait: bool) -> None:
        """Take in a window of lines, sorted by length: falling and rising in turn, so that where
        windows meet lengths are alike."""
        if self._ended:
            return
        lines = self._source.take(self._size, wait=wait)
        if lines is None:
            self._ended = True
            return
        self._size = min(2 * self._size, _LARGEST)
        for line, tasks in zip(lines, self._plan.prepare(lines), strict=True):
            if line.error is not None:
                job = _Job(line, [], error=line.error)
            elif isinstance(tasks, LineError):
                job = _Job(line, [], error=str(tasks))
            else:
                job = _Job(line, tasks)
            self._jobs[line.number] = job
            for place, task in enumerate(job.tasks):
                self._place[task] = line.number, place
                self._waiting.append(task)
        self._waiting.sort(key=cost, reverse=not self._falling)
        self._falling = not self._falling

    def note(self, events: Sequence[Event]) -> None:
        """Take what was finished, or let it be written again."""
        for event in events:
            if isinstance(event, Finished):
                number, place = self._place.pop(event.task)
                job = self._jobs[number]
                if (task := self._plan.again(event.task, event.hypotheses)) is not None:
                    self._counts["repeating"] += task.no_repeat > event.task.no_repeat
                    job.tasks[place] = task
                    self._place[task] = number, place
                    self._waiting.append(task)
                else:
                    job.found[place] = event.hypotheses

    def ready(self) -> Iterator[Answer]:
        """Give back what is done and follows what was given back."""
        while (job := self._jobs.get(self._next)) is not None and job.done:
            del self._jobs[self._next]
            self._next += 1
            yield self._answer(job)

    def _answer(self, job: _Job) -> Answer:
        error = job.error
        if error is None:
            try:
                found = [job.found[place] for place in range(len(job.tasks))]
                outputs = self._plan.outputs(job.line, job.tasks, found) if found else []
                cut = any(h.reason == "length" for some in found for h in some[:1])
                self._counts["unfinished"] += cut
                return Answer(job.line, outputs)
            except LineError as refused:
                error = str(refused)
        self._counts["failed"] += 1
        return Answer(job.line, error=error)


def cost(task: Task) -> int:
    """Tokens that a task takes up in a batch."""
    return len(task.source) or len(task.prompt) + task.limit
